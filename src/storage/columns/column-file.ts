/** The bytes of a column's file: docs/column-format.md. */
import {
  decodeSigned,
  encodeSigned,
  HASH_BYTES,
  MAX_INDEX_PAYLOAD_BYTES,
  MAX_SEGMENTS,
  sameBytes,
  SIGNATURE_BYTES,
} from '../../../protocols/chunk/format/index.ts'
import type { SignedBytes, SlabId } from '../../../protocols/chunk/types.ts'

const HEADER_MAGIC = Buffer.from('p2pcol\0\x01', 'latin1')
const TRAILER_MAGIC = Buffer.from('locp', 'latin1')

export const HEADER_BYTES = HEADER_MAGIC.byteLength + HASH_BYTES + 8
export const TRAILER_BYTES = 16

/** Keys and lengths of the protobuf messages around an index, sizes of segments, key and group. */
const INDEX_OVERHEAD_BYTES = 1024 + SIGNATURE_BYTES + 16

/** What stands before the first piece. */
export function encodeHeader(slab: SlabId, column: number): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES)
  HEADER_MAGIC.copy(header)
  header.set(slab, HEADER_MAGIC.byteLength)
  header.writeUInt32BE(column, HEADER_MAGIC.byteLength + HASH_BYTES)
  return header
}

/** What follows the last piece: the index, and where it begins. */
export function encodeTail(
  columnBytes: number,
  index: SignedBytes,
): { bytes: Uint8Array; indexBytes: number } {
  const signed = encodeSigned(index)
  const trailer = Buffer.alloc(TRAILER_BYTES)
  trailer.writeBigUInt64BE(BigInt(HEADER_BYTES + columnBytes))
  trailer.writeUInt32BE(signed.byteLength, 8)
  TRAILER_MAGIC.copy(trailer, 12)
  return { bytes: Buffer.concat([signed, trailer]), indexBytes: signed.byteLength }
}

/** The index of a file whose tail this is, or undefined where it is none. */
export function decodeTail(tail: Uint8Array, columnBytes: number): SignedBytes | undefined {
  const at = tail.byteLength - TRAILER_BYTES
  if (at < 0) return undefined
  const trailer = Buffer.from(tail.buffer, tail.byteOffset + at, TRAILER_BYTES)
  if (!sameBytes(trailer.subarray(12), TRAILER_MAGIC)) return undefined
  if (trailer.readBigUInt64BE() !== BigInt(HEADER_BYTES + columnBytes)) return undefined
  if (trailer.readUInt32BE(8) !== at) return undefined
  try {
    return decodeSigned(tail.subarray(0, at), MAX_INDEX_PAYLOAD_BYTES)
  } catch {
    return undefined
  }
}

export function fileBytesOf(columnBytes: number, indexBytes: number): number {
  return HEADER_BYTES + columnBytes + indexBytes + TRAILER_BYTES
}

/** What a file may take at most of which only the upper bound of its pieces is known. */
export function maxFileBytes(maxColumnBytes: number, n: number): number {
  // No piece is empty: a column of few bytes has few segments.
  const segments = Math.min(MAX_SEGMENTS, maxColumnBytes)
  return fileBytesOf(maxColumnBytes, segments * n * HASH_BYTES + INDEX_OVERHEAD_BYTES)
}
