import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventRing } from '../../../src/api/events/ring.ts'

const fill = (ring: EventRing, sizes: number[]): void => {
  sizes.forEach((size, index) => ring.add({ number: index + 1, topic: 'jobs', text: 'x'.repeat(size) }))
}

describe('the ring of events', () => {
  it('gives what came after an event', () => {
    const ring = new EventRing(10, 1000)
    fill(ring, [1, 1, 1])
    expect(ring.after(1)?.map(({ number }) => number)).toEqual([2, 3])
    expect(ring.after(3)).toEqual([])
    expect(ring.after(0)?.length).toBe(3)
  })

  it('does not know the future, nor what it dropped', () => {
    const ring = new EventRing(2, 1000)
    expect(ring.after(0)).toEqual([])
    fill(ring, [1, 1, 1, 1])
    expect(ring.after(5)).toBeUndefined()
    expect(ring.after(1)).toBeUndefined()
    expect(ring.after(2)?.map(({ number }) => number)).toEqual([3, 4])
  })

  it('tells either all events after a number or that it cannot, within its bounds', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(50), { maxLength: 200 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 200 }),
        fc.nat(250),
        (sizes, maxEvents, maxBytes, number) => {
          const ring = new EventRing(maxEvents, maxBytes)
          fill(ring, sizes)
          const events = ring.after(number)
          if (events === undefined) return
          expect(events.length).toBeLessThanOrEqual(maxEvents)
          expect(events.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThanOrEqual(maxBytes)
          const expected = sizes.map((_, index) => index + 1).filter((one) => one > number)
          expect(events.map((event) => event.number)).toEqual(expected)
        },
      ),
    )
  })
})
