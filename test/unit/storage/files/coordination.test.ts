import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Admission, KeyedLock, SharedRuns } from '../../../../src/storage/files/coordination.ts'

describe('Admission', () => {
  test('never lets in more than fits, lets everybody in, and first come first served', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 120 }), { minLength: 1, maxLength: 60 }),
        fc.array(fc.nat(), { minLength: 1, maxLength: 60 }),
        async (sizes, order) => {
          const limits = { count: 5, bytes: 100, waiting: 100 }
          const admission = new Admission(limits)
          const inside = new Map<number, () => void>()
          const entered: number[] = []
          let bytes = 0
          const entering = sizes.map(async (size, index) => {
            const leave = await admission.enter(size)
            bytes += size
            inside.set(index, leave)
            entered.push(index)
            expect(inside.size).toBeLessThanOrEqual(limits.count)
            // One that is over the bound by itself goes alone.
            expect(bytes <= limits.bytes || inside.size === 1).toBe(true)
          })
          for (let turn = 0; entered.length < sizes.length || inside.size > 0; turn++) {
            await Promise.resolve()
            const indexes = [...inside.keys()]
            const index = indexes[(order[turn % order.length] as number) % Math.max(1, indexes.length)]
            if (index === undefined) continue
            const leave = inside.get(index)
            inside.delete(index)
            bytes -= sizes[index] as number
            leave?.()
            leave?.()
          }
          await Promise.all(entering)
          expect(entered).toEqual(sizes.map((_, index) => index))
        },
      ),
    )
  })

  test('one that gives up lets those behind it in', async () => {
    const admission = new Admission({ count: 2, bytes: 10, waiting: 10 })
    const leave = await admission.enter(5)
    const abort = new AbortController()
    const large = admission.enter(10, abort.signal)
    const small = admission.enter(3)
    abort.abort()
    await expect(large).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    ;(await small)()
    leave()
    ;(await admission.enter(10))()
  })

  test('refuses when too many wait', async () => {
    const admission = new Admission({ count: 1, bytes: 10, waiting: 1 })
    const leave = await admission.enter(1)
    const waiting = admission.enter(1)
    await expect(admission.enter(1)).rejects.toMatchObject({ code: 'ERR_STORAGE_BUSY', kind: 'busy' })
    leave()
    ;(await waiting)()
  })
})

test('KeyedLock runs one at a time for a key, in order, also after a failure', async () => {
  const lock = new KeyedLock()
  const seen: string[] = []
  const work = (name: string, fail = false) =>
    lock.run('k', async () => {
      seen.push(`${name} begins`)
      await Promise.resolve()
      seen.push(`${name} ends`)
      if (fail) throw new Error(name)
    })
  const results = await Promise.allSettled([work('a'), work('b', true), work('c')])
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(seen).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
})

test('SharedRuns serves all who asked during a run with one that begins afterwards', async () => {
  const ends: (() => void)[] = []
  let begun = 0
  const runs = new SharedRuns(() => {
    begun++
    return new Promise((resolve) => ends.push(resolve))
  })
  const first = runs.request('folder')
  const others = [runs.request('folder'), runs.request('folder')]
  expect(begun).toBe(1)
  ends.shift()?.()
  await first
  await Promise.resolve()
  expect(begun).toBe(2)
  const late = runs.request('folder')
  ends.shift()?.()
  await Promise.all(others)
  await Promise.resolve()
  // The late one asked while the second run was under way.
  expect(begun).toBe(3)
  ends.shift()?.()
  await late
})
