import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SEGMENT_BYTES, SEGMENTS_PER_SLAB } from '../../../../src/vault/codec/types.ts'
import { partsOf, segmentCount, segmentsOfSlab } from '../../../../src/vault/read/plan.ts'

const SLAB_BYTES = SEGMENT_BYTES * SEGMENTS_PER_SLAB
/** Sizes and places around the borders of segments and slabs. */
const place = fc.oneof(
  fc.integer({ min: 0, max: 3 * SLAB_BYTES }),
  fc
    .tuple(
      fc.constantFrom(SEGMENT_BYTES, SLAB_BYTES),
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: -1, max: 1 }),
    )
    .map(([unit, times, off]) => Math.max(0, unit * times + off)),
)

describe('the segments of a range', () => {
  test('their parts are the range, byte for byte and in order', () => {
    fc.assert(
      fc.property(place, place, place, (size, from, end) => {
        let at = Math.min(from, size)
        for (const { slab, segment, from: begin, to, segmentBytes } of partsOf({ from, end }, size)) {
          const start = (slab * SEGMENTS_PER_SLAB + segment) * SEGMENT_BYTES
          expect(start + begin).toBe(at)
          expect(to).toBeGreaterThan(begin)
          expect(to).toBeLessThanOrEqual(segmentBytes)
          expect(segmentBytes).toBe(Math.min(SEGMENT_BYTES, size - start))
          at = start + to
        }
        expect(at).toBe(Math.max(Math.min(from, size), Math.min(end, size)))
      }),
    )
  })

  test('each slab names the segments that the parts are in', () => {
    fc.assert(
      fc.property(place, place, place, (size, from, end) => {
        const bySlab = new Map<number, number[]>()
        for (const { slab, segment } of partsOf({ from, end }, size)) {
          bySlab.set(slab, [...(bySlab.get(slab) ?? []), segment])
        }
        for (const [slab, segments] of bySlab)
          expect(segmentsOfSlab(slab, { from, end }, size)).toEqual(segments)
      }),
    )
  })

  test('an empty stream has none', () => {
    expect([...partsOf({ from: 0, end: 10 }, 0)]).toEqual([])
    expect(segmentCount(0)).toBe(0)
    expect(segmentCount(1)).toBe(1)
    expect(segmentCount(SEGMENT_BYTES + 1)).toBe(2)
  })
})
