import { SEGMENT_BYTES, SEGMENTS_PER_SLAB } from '../codec/types.ts'

/** A part of a segment that a range needs. */
export interface SegmentPart {
  /** Which slab of the stream, from 0. */
  slab: number
  /** Which segment within the slab. */
  segment: number
  /** First byte within the segment, and the one after the last. */
  from: number
  to: number
  /** Bytes of the whole segment. */
  segmentBytes: number
}

/**
 * What of which segments makes up the bytes `from` to `end` (exclusive) of a stream of `sizeBytes`, in order. All
 * segments but the stream's last are full, and all slabs but the last have 64.
 */
export function* partsOf(range: { from: number; end: number }, sizeBytes: number): Generator<SegmentPart> {
  const end = Math.min(range.end, sizeBytes)
  let at = range.from
  while (at < end) {
    const number = Math.floor(at / SEGMENT_BYTES)
    const begin = number * SEGMENT_BYTES
    const segmentBytes = Math.min(SEGMENT_BYTES, sizeBytes - begin)
    yield {
      slab: Math.floor(number / SEGMENTS_PER_SLAB),
      segment: number % SEGMENTS_PER_SLAB,
      from: at - begin,
      to: Math.min(segmentBytes, end - begin),
      segmentBytes,
    }
    at = begin + segmentBytes
  }
}

/** The segments of each slab that a range needs, ascending: without counting them one by one. */
export function segmentsOfSlab(
  slab: number,
  range: { from: number; end: number },
  sizeBytes: number,
): number[] {
  const first = Math.floor(range.from / SEGMENT_BYTES)
  const last = Math.ceil(Math.min(range.end, sizeBytes) / SEGMENT_BYTES) - 1
  const segments: number[] = []
  for (let segment = 0; segment < SEGMENTS_PER_SLAB; segment += 1) {
    const number = slab * SEGMENTS_PER_SLAB + segment
    if (number >= first && number <= last) segments.push(segment)
  }
  return segments
}

/** How many segments a stream of so many bytes has. */
export function segmentCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / SEGMENT_BYTES)
}
