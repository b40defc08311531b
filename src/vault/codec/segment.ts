/** From a segment to its sealed form and back: pure, and too slow for the event loop. docs/vault-format.md, "Sealed segment". */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { discard } from './discard.ts'
import { vaultInvalid } from './errors.ts'
import { associatedData } from './keys.ts'
import {
  KEPT_PERCENT,
  LENGTH_BYTES,
  MAX_SEALED_BYTES,
  PADDING_STEP_BYTES,
  SMALLEST_PADDED_BYTES,
  TAG_BYTES,
  ZSTD_LEVEL,
  ZSTD_WINDOW_LOG_MAX,
} from './limits.ts'
import { SEGMENT_BYTES, type SegmentKey } from './types.ts'

/** How a payload stands for its segment. As in the manifest and in the associated data. */
export const Mode = { plain: 0, zstd: 1 } as const

/** zlib's smallest `chunkSize`. */
const MIN_CHUNK_BYTES = 64
/** What a frame takes more than what it holds, at most, with room to spare. */
const FRAME_OVERHEAD_BYTES = 4 * 1024

/** Which segment it is: the associated data. */
export interface SegmentPlace {
  slab: Uint8Array
  number: number
  /** What it is called where it does not open; by default "segment" and its number. */
  name?: string
}

export interface SealedSegment {
  mode: number
  sealed: Uint8Array<ArrayBuffer>
  compressMs: number
  sealMs: number
}

/** P: bytes that a payload and the zeros after it take. */
export function paddedBytes(payloadBytes: number): number {
  if (payloadBytes > PADDING_STEP_BYTES) {
    return Math.ceil(payloadBytes / PADDING_STEP_BYTES) * PADDING_STEP_BYTES
  }
  let padded = SMALLEST_PADDED_BYTES
  while (padded < payloadBytes) padded *= 2
  return padded
}

export function sealedBytesOf(payloadBytes: number): number {
  return LENGTH_BYTES + paddedBytes(payloadBytes) + TAG_BYTES
}

/** Whether a sealed segment can have this length; what others say is checked by it before memory is set aside. */
export function isSealedLength(bytes: number): boolean {
  const padded = bytes - LENGTH_BYTES - TAG_BYTES
  return (
    Number.isInteger(bytes) &&
    bytes <= MAX_SEALED_BYTES &&
    padded >= SMALLEST_PADDED_BYTES &&
    paddedBytes(padded) === padded
  )
}

export function sealSegment(segment: Uint8Array, place: SegmentPlace, key: SegmentKey): SealedSegment {
  if (segment.length > SEGMENT_BYTES) {
    throw new RangeError(`a segment has at most ${SEGMENT_BYTES} bytes, not ${segment.length}`)
  }
  const startMs = performance.now()
  const { mode, payload } = compressed(segment)
  const compressedMs = performance.now()

  const padded = Buffer.alloc(LENGTH_BYTES + paddedBytes(payload.length))
  padded.writeUInt32BE(payload.length)
  padded.set(payload, LENGTH_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key.key, key.nonce)
  cipher.setAAD(associatedData(place.slab, place.number, mode))
  const sealed = new Uint8Array(padded.length + TAG_BYTES)
  const encrypted = cipher.update(padded)
  sealed.set(encrypted)
  cipher.final()
  sealed.set(cipher.getAuthTag(), padded.length)
  for (const used of [encrypted, padded]) discard(used)
  if (payload !== segment) discard(payload)
  return {
    mode,
    sealed,
    compressMs: compressedMs - startMs,
    sealMs: performance.now() - compressedMs,
  }
}

/**
 * The segment's bytes, in a buffer of their own, or an error: nothing that was not authenticated comes out.
 *
 * @throws ERR_VAULT_INVALID
 */
export function openSegment(
  sealed: Uint8Array,
  mode: number,
  place: SegmentPlace,
  key: SegmentKey,
): Uint8Array<ArrayBuffer> {
  const name = nameOf(place)
  if (mode !== Mode.plain && mode !== Mode.zstd) {
    throw vaultInvalid(`${name} has the unknown mode ${mode}`, { mode })
  }
  if (!isSealedLength(sealed.length)) {
    throw vaultInvalid(`${name} has a length that no sealed segment has: ${sealed.length} bytes`)
  }
  const padded = decrypted(sealed, mode, place, key)
  const payloadBytes = padded.readUInt32BE()
  if (payloadBytes > SEGMENT_BYTES || padded.length !== LENGTH_BYTES + paddedBytes(payloadBytes)) {
    throw vaultInvalid(`${name} tells a length that does not fit its padding`)
  }
  const payload = padded.subarray(LENGTH_BYTES, LENGTH_BYTES + payloadBytes)
  if (mode === Mode.plain) {
    return new Uint8Array(payload.buffer as ArrayBuffer, payload.byteOffset, payload.length)
  }
  const segment = decompressed(payload, name)
  discard(padded)
  return segment
}

function nameOf({ name, number }: SegmentPlace): string {
  return name ?? `segment ${number}`
}

function compressed(segment: Uint8Array): { mode: number; payload: Uint8Array } {
  // The size goes into the frame, whose window then is no larger than the segment.
  const frame = zstdCompressSync(segment, {
    params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL },
    pledgedSrcSize: segment.length,
    // One piece of output: gathering 64 KiB at a time doubles the work.
    chunkSize: Math.max(MIN_CHUNK_BYTES, segment.length + FRAME_OVERHEAD_BYTES),
  })
  if (frame.length * 100 <= segment.length * KEPT_PERCENT) return { mode: Mode.zstd, payload: frame }
  discard(frame)
  return { mode: Mode.plain, payload: segment }
}

function decrypted(sealed: Uint8Array, mode: number, place: SegmentPlace, key: SegmentKey): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key.key, key.nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(associatedData(place.slab, place.number, mode))
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
  const padded = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES))
  try {
    decipher.final()
  } catch (error) {
    throw vaultInvalid(`${nameOf(place)} does not open: wrong key or altered`, {}, error)
  }
  return padded
}

function decompressed(frame: Uint8Array, name: string): Uint8Array<ArrayBuffer> {
  try {
    const bytes = zstdDecompressSync(frame, {
      maxOutputLength: SEGMENT_BYTES,
      chunkSize: SEGMENT_BYTES,
      params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX },
    })
    // A short segment does not keep a long buffer alive.
    if (bytes.length < bytes.buffer.byteLength) return new Uint8Array(bytes)
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  } catch (error) {
    const tooLarge = (error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE'
    throw vaultInvalid(
      tooLarge
        ? `${name} decompresses to more than a segment's ${SEGMENT_BYTES} bytes`
        : `${name} does not decompress`,
      {},
      error,
    )
  }
}
