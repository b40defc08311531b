import { describe, expect, test } from 'vitest'
import { firstGood } from '../../../../src/vault/read/first-good.ts'

const never = new AbortController().signal

async function* candidates(...names: string[]): AsyncGenerator<string> {
  yield* names
}

describe('the first good answer', () => {
  test('comes from the next candidate where one fails or is of no use', async () => {
    const asked: string[] = []
    const answer = await firstGood(
      candidates('throws', 'useless', 'good', 'unasked'),
      async (name) => {
        asked.push(name)
        if (name === 'throws') throw new Error('no')
        return name === 'useless' ? undefined : name
      },
      { headStartMs: 60_000, maxAtOnce: 3, signal: never },
    )
    expect(answer).toBe('good')
    expect(asked).toEqual(['throws', 'useless', 'good'])
  })

  test('comes from another where the first is slow, which is aborted then', async () => {
    let aborted = false
    const answer = await firstGood(
      candidates('slow', 'quick'),
      (name, signal) => {
        if (name === 'quick') return Promise.resolve(name)
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            aborted = true
            reject(signal.reason as Error)
          })
        })
      },
      { headStartMs: 5, maxAtOnce: 3, signal: never },
    )
    expect(answer).toBe('quick')
    expect(aborted).toBe(true)
  })

  test('is none where all have failed, or where there is nobody', async () => {
    const options = { headStartMs: 5, maxAtOnce: 2, signal: never }
    expect(await firstGood(candidates(), async () => 'good', options)).toBeUndefined()
    expect(await firstGood(candidates('a', 'b', 'c'), async () => undefined, options)).toBeUndefined()
  })

  test('is not waited for any more once the signal aborts', async () => {
    const controller = new AbortController()
    const answer = firstGood(
      candidates('slow'),
      (_, signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error))
          controller.abort(new Error('gone'))
        }),
      { headStartMs: 5, maxAtOnce: 2, signal: controller.signal },
    )
    await expect(answer).rejects.toThrow('gone')
  })
})
