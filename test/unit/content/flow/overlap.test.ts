import { describe, expect, it } from 'vitest'
import { type Attempt, overlap } from '../../../../src/content/flow/overlap.ts'

const never = new AbortController().signal
const fails = (headStartMs = 60_000): Attempt<string> => ({
  headStartMs,
  run: () => Promise.reject(new Error('no')),
})
const has = (answer: string): Attempt<string> => ({ headStartMs: 60_000, run: async () => answer })
/** Waits until it is called off. */
const waits = (headStartMs: number, onAbort: () => void = () => {}): Attempt<string> => ({
  headStartMs,
  run: (signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        onAbort()
        reject(signal.reason as Error)
      })
    }),
})

describe('overlap', () => {
  it('takes the first that has an answer, and asks no further', async () => {
    const asked: string[] = []
    const last: Attempt<string> = { headStartMs: 1, run: async () => asked.push('last').toString() }
    expect(await overlap([fails(), has('second'), last], never)).toBe('second')
    expect(asked).toEqual([])
  })

  it('begins the next beside one that is slow, and calls that one off', async () => {
    let calledOff = 0
    const slow = waits(5, () => {
      calledOff += 1
    })
    expect(await overlap([slow, has('fast')], never)).toBe('fast')
    expect(calledOff).toBe(1)
  })

  it('is undefined where none has any, or there is none', async () => {
    expect(await overlap([fails(), fails()], never)).toBeUndefined()
    expect(await overlap([], never)).toBeUndefined()
  })

  it('ends with the signal', async () => {
    const cancel = new AbortController()
    const going = overlap([waits(5), waits(5)], cancel.signal)
    cancel.abort(new Error('enough'))
    await expect(going).rejects.toThrow('enough')
    await expect(overlap([has('x')], cancel.signal)).rejects.toThrow('enough')
  })
})
