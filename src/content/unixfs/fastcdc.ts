import { createHash } from 'node:crypto'
import type { Chunker } from './chunker.ts'

/**
 * FastCDC as in W. Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage
 * Systems", IEEE TPDS 31(9), 2020: gear hash, normalised chunking of level 1, cut points tested two bytes at a time.
 * It cuts where the widely used Rust crate `fastcdc` (module v2020, level 1) cuts with the same three sizes.
 */
export const FASTCDC_MIN_BYTES = 64 * 1024
export const FASTCDC_AVERAGE_BYTES = 256 * 1024
/** Chunks must fit blocks that every IPFS node takes. */
export const FASTCDC_MAX_BYTES = 1024 * 1024

/**
 * Bits of the hash that must be zero at a cut: 19 of them before the average size is reached (harder), 17 after it
 * (easier), one more and one less than log2 of the average. The positions are those of the paper's authors' own code
 * (destor) and its continuation for larger sizes. All lie in the lower 48 bits, so that the upper 16 of the 64-bit gear
 * hash never matter and two 24-bit halves hold all of it that does.
 */
const MASK_BEFORE_AVERAGE = 0x0000d91707537000n
const MASK_AFTER_AVERAGE = 0x0000d90703537000n

const HALF_BITS = 24n
const HALF_MASK = 0xffffff

function halves(value: bigint): { high: number; low: number } {
  return { high: Number((value >> HALF_BITS) & 0xffffffn), low: Number(value & 0xffffffn) }
}

const BEFORE = halves(MASK_BEFORE_AVERAGE)
const AFTER = halves(MASK_AFTER_AVERAGE)

/** The gear of a byte is the first 8 bytes (big-endian) of the MD5 of 64 such bytes; MD5 only spreads bits here. */
export function gearOf(byte: number): bigint {
  return createHash('md5').update(Buffer.alloc(64, byte)).digest().readBigUInt64BE(0)
}

interface Gear {
  high: Int32Array
  low: Int32Array
}

function gearTable(): Gear {
  const gear: Gear = { high: new Int32Array(256), low: new Int32Array(256) }
  for (let byte = 0; byte < 256; byte += 1) {
    const { high, low } = halves(gearOf(byte))
    gear.high[byte] = high
    gear.low[byte] = low
  }
  return gear
}

export class FastCdcChunker implements Chunker {
  readonly #gear = gearTable()
  readonly #buffer = Buffer.allocUnsafeSlow(FASTCDC_MAX_BYTES)
  #length = 0
  /** The next position to test; even. */
  #at = FASTCDC_MIN_BYTES
  #high = 0
  #low = 0

  get pendingBytes(): number {
    return this.#length
  }

  *push(bytes: Uint8Array): Iterable<Uint8Array> {
    let taken = 0
    while (taken < bytes.length) {
      const part = bytes.subarray(taken, taken + FASTCDC_MAX_BYTES - this.#length)
      this.#buffer.set(part, this.#length)
      this.#length += part.length
      taken += part.length
      for (let cut = this.#cut(); cut !== undefined; cut = this.#cut()) yield this.#take(cut)
    }
  }

  finish(): Uint8Array | undefined {
    return this.#length === 0 ? undefined : this.#take(this.#length)
  }

  /**
   * The end of the first chunk in the buffer, where it is known already. Like the original it tests bytes in pairs: the
   * last byte of an input of odd length is never a cut.
   */
  #cut(): number | undefined {
    const { high: gearHigh, low: gearLow } = this.#gear
    const buffer = this.#buffer
    const end = this.#length - (this.#length % 2)
    let high = this.#high
    let low = this.#low
    let at = this.#at
    for (; at < end; at += 1) {
      const byte = buffer[at] as number
      low = (low << 1) + (gearLow[byte] as number)
      high = ((high << 1) + (gearHigh[byte] as number) + (low >>> 24)) & HALF_MASK
      low &= HALF_MASK
      const mask = at < FASTCDC_AVERAGE_BYTES ? BEFORE : AFTER
      if ((high & mask.high) === 0 && (low & mask.low) === 0) return at
    }
    this.#at = at
    this.#high = high
    this.#low = low
    return this.#length === FASTCDC_MAX_BYTES ? FASTCDC_MAX_BYTES : undefined
  }

  #take(cut: number): Uint8Array {
    const chunk = Buffer.allocUnsafeSlow(cut)
    this.#buffer.copy(chunk, 0, 0, cut)
    this.#buffer.copyWithin(0, cut, this.#length)
    this.#length -= cut
    this.#at = FASTCDC_MIN_BYTES
    this.#high = 0
    this.#low = 0
    return chunk
  }
}
