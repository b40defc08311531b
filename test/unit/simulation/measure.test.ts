import { describe, expect, it } from 'vitest'
import { forEachLimited, percentile, timingOf } from '../../../src/simulation/measure.ts'

describe('percentiles', () => {
  it('are values that were seen, by nearest rank', () => {
    const values = [15, 20, 35, 40, 50]
    // The worked example of the nearest-rank method in common use.
    expect([5, 30, 40, 50, 100].map((percent) => percentile(values, percent))).toEqual([15, 20, 20, 35, 50])
    expect(percentile([7], 99)).toBe(7)
    expect(percentile([], 50)).toBeNull()
    expect(timingOf([])).toEqual({ p50Ms: null, p99Ms: null, maxMs: null })
    expect(timingOf([3.14, 1])).toEqual({ p50Ms: 1, p99Ms: 3.1, maxMs: 3.1 })
  })
})

describe('work on many items', () => {
  it('has no more under way than allowed, and does all', async () => {
    let underWay = 0
    let most = 0
    const done: number[] = []
    await forEachLimited([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
      most = Math.max(most, ++underWay)
      await new Promise((resolve) => setImmediate(resolve))
      underWay -= 1
      done.push(item)
    })
    expect(most).toBe(3)
    expect(done.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7])
  })

  it('begins nothing after a failure, waits for what is under way, and throws the first one', async () => {
    const begun: number[] = []
    const ended: number[] = []
    const work = forEachLimited([0, 1, 2, 3, 4], 2, async (item) => {
      begun.push(item)
      if (item === 0) throw new Error('the first')
      await new Promise((resolve) => setImmediate(resolve))
      ended.push(item)
    })
    await expect(work).rejects.toThrow('the first')
    expect(begun).toEqual([0, 1])
    expect(ended).toEqual([1])
  })
})
