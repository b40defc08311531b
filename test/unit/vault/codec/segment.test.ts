import { createCipheriv, randomBytes } from 'node:crypto'
import { zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { associatedData } from '../../../../src/vault/codec/keys.ts'
import {
  isSealedLength,
  Mode,
  openSegment,
  paddedBytes,
  sealedBytesOf,
  sealSegment,
} from '../../../../src/vault/codec/segment.ts'
import { SEGMENT_BYTES, type SegmentKey } from '../../../../src/vault/codec/types.ts'
import { patterned, place, text } from '../../../support/vault-codec.ts'

const invalid = expect.objectContaining({ code: 'ERR_VAULT_INVALID', kind: 'verification' }) as Error

/** A segment sealed as only somebody with the key could, whatever is in it. */
function sealRaw(
  payload: Uint8Array,
  mode: number,
  where: ReturnType<typeof place>,
  length = payload.length,
) {
  const padded = Buffer.alloc(4 + paddedBytes(payload.length))
  padded.writeUInt32BE(length)
  padded.set(payload, 4)
  const cipher = createCipheriv('aes-256-gcm', where.key.key, where.key.nonce)
  cipher.setAAD(associatedData(where.slab, where.number, mode))
  return Buffer.concat([cipher.update(padded), cipher.final(), cipher.getAuthTag()])
}

function open(sealed: Uint8Array, mode: number, where: ReturnType<typeof place>, key?: SegmentKey) {
  return openSegment(sealed, mode, where, key ?? where.key)
}

describe('sealing', () => {
  it('pads to a power of two up to 64 KiB, then to multiples of 64 KiB', () => {
    const KiB = 1024
    for (const [payload, padded] of [
      [0, KiB],
      [1, KiB],
      [KiB, KiB],
      [KiB + 1, 2 * KiB],
      [33 * KiB, 64 * KiB],
      [64 * KiB, 64 * KiB],
      [64 * KiB + 1, 128 * KiB],
      [1000 * KiB, 1024 * KiB],
      [1024 * KiB, 1024 * KiB],
    ] as const) {
      expect(paddedBytes(payload)).toBe(padded)
      expect(isSealedLength(sealedBytesOf(payload))).toBe(true)
    }
    fc.assert(
      fc.property(fc.integer({ min: 0, max: SEGMENT_BYTES }), (bytes) => {
        expect(isSealedLength(sealedBytesOf(bytes))).toBe(true)
        expect(paddedBytes(bytes)).toBeGreaterThanOrEqual(bytes)
      }),
    )
    for (const bytes of [
      0,
      20,
      1043,
      1045,
      4 + 3 * KiB + 16,
      4 + 65 * KiB + 16,
      20 + 1088 * KiB,
      -1,
      Number.NaN,
    ]) {
      expect(isSealedLength(bytes)).toBe(false)
    }
  })

  it('keeps what zstd gives only where that saves 3 %', () => {
    expect(sealSegment(patterned(100_000), place(), place().key).mode).toBe(Mode.plain)
    expect(sealSegment(text(100_000), place(), place().key).mode).toBe(Mode.zstd)
    // 96 % and 98 % of it do not compress.
    const mixed = (percent: number) =>
      Buffer.concat([patterned(percent * 1000), Buffer.alloc((100 - percent) * 1000)])
    expect(sealSegment(mixed(96), place(), place().key).mode).toBe(Mode.zstd)
    expect(sealSegment(mixed(98), place(), place().key).mode).toBe(Mode.plain)
    expect(sealSegment(text(1), place(), place().key).mode).toBe(Mode.plain)
  })

  it('takes no more than a segment', () => {
    expect(() => sealSegment(new Uint8Array(SEGMENT_BYTES + 1), place(), place().key)).toThrow(RangeError)
  })

  it('leaves neither length nor content to see', () => {
    const where = place()
    const one = sealSegment(patterned(1), where, where.key).sealed
    const other = sealSegment(patterned(1024), place(), place().key).sealed
    expect(one.length).toBe(other.length)
    expect(Buffer.from(sealSegment(text(1024), where, where.key).sealed).includes('owner')).toBe(false)
  })
})

describe('opening', () => {
  for (const [kind, original] of [
    ['plain', patterned(700)],
    ['compressed', text(7_000)],
  ] as const) {
    const where = place()
    const { sealed, mode } = sealSegment(original, where, where.key)

    test(`${kind}: a bit that is flipped anywhere`, () => {
      expect(Buffer.compare(open(sealed, mode, where), original)).toBe(0)
      for (let at = 0; at < sealed.length; at++) {
        const altered = sealed.slice()
        altered[at] = (altered[at] ?? 0) ^ (1 << (at % 8))
        expect(() => open(altered, mode, where)).toThrow(invalid)
      }
    })

    test(`${kind}: another key, nonce, slab, number or mode`, () => {
      const key = { ...where.key, key: randomBytes(32) }
      expect(() => open(sealed, mode, where, key)).toThrow('wrong key or altered')
      expect(() => open(sealed, mode, where, { ...where.key, nonce: randomBytes(12) })).toThrow(invalid)
      expect(() => open(sealed, mode, { ...where, slab: randomBytes(32) })).toThrow(invalid)
      expect(() => open(sealed, mode, { ...where, number: where.number + 1 })).toThrow(invalid)
      expect(() => open(sealed, 1 - mode, where)).toThrow(invalid)
      for (const unknown of [2, 255, -1, 0.5])
        expect(() => open(sealed, unknown, where)).toThrow('unknown mode')
    })

    test(`${kind}: cut off or lengthened`, () => {
      for (const length of [0, 1, 19, 20, sealed.length - 1]) {
        expect(() => open(sealed.subarray(0, length), mode, where)).toThrow(invalid)
      }
      expect(() => open(Buffer.concat([sealed, Buffer.of(0)]), mode, where)).toThrow(invalid)
      const doubled = Buffer.concat([sealed, Buffer.alloc(sealed.length - 20)])
      expect(() => open(doubled, mode, where)).toThrow(invalid)
    })
  }

  it('refuses a frame that grows over a segment, and one that is none', () => {
    const where = place()
    const bomb = zstdCompressSync(new Uint8Array(SEGMENT_BYTES + 1))
    expect(() => open(sealRaw(bomb, Mode.zstd, where), Mode.zstd, where)).toThrow('decompresses to more than')
    const vast = zstdCompressSync(new Uint8Array(64 * SEGMENT_BYTES))
    expect(() => open(sealRaw(vast, Mode.zstd, where), Mode.zstd, where)).toThrow('decompresses to more than')
    for (const frame of [patterned(500), new Uint8Array(0), bomb.subarray(0, 20)]) {
      expect(() => open(sealRaw(frame, Mode.zstd, where), Mode.zstd, where)).toThrow('does not decompress')
    }
    const full = zstdCompressSync(new Uint8Array(SEGMENT_BYTES))
    expect(open(sealRaw(full, Mode.zstd, where), Mode.zstd, where).length).toBe(SEGMENT_BYTES)
  })

  it('refuses a length that does not fit', () => {
    const where = place()
    for (const length of [1025, 2 ** 31, 2 ** 32 - 1]) {
      expect(() => open(sealRaw(patterned(1000), Mode.plain, where, length), Mode.plain, where)).toThrow(
        invalid,
      )
    }
    const long = sealRaw(patterned(70_000), Mode.plain, where, 65_536)
    expect(() => open(long, Mode.plain, where)).toThrow('does not fit its padding')
  })
})
