import { expect, test } from 'vitest'
import { Turns } from '../../../../src/storage/files/turns.ts'

/** Keeps the processor busy, as synchronous work does. */
function compute(durationMs: number): void {
  const endMs = performance.now() + durationMs
  while (performance.now() < endMs);
}

test('a loop that never waits for anything else lets others in', async () => {
  const turns = new Turns()
  let others = 0
  let looping = true
  const tick = (): void => {
    others++
    if (looping) setImmediate(tick)
  }
  tick()
  for (let step = 0; step < 40; step++) {
    await turns.take()
    compute(2)
  }
  looping = false
  // 80 ms of work at 10 ms a turn.
  expect(others).toBeGreaterThanOrEqual(4)
})

test('callers at once go on in order, some in each turn', async () => {
  const turns = new Turns()
  const order: number[] = []
  let turn = 0
  const perTurn = new Map<number, number>()
  const countTurn = (): void => {
    turn++
    if (order.length < 300) setImmediate(countTurn)
  }
  setImmediate(countTurn)
  expect(turns.take()).toBeUndefined()
  compute(15)
  await Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      await turns.take()
      order.push(index)
      perTurn.set(turn, (perTurn.get(turn) ?? 0) + 1)
    }),
  )
  expect(order).toEqual(Array.from({ length: 300 }, (_, index) => index))
  expect(Math.max(...perTurn.values())).toBeLessThanOrEqual(64)
})

test('there is time again in the next turn', async () => {
  const turns = new Turns()
  expect(turns.take()).toBeUndefined()
  compute(15)
  expect(turns.take()).toBeInstanceOf(Promise)
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
  expect(turns.take()).toBeUndefined()
})
