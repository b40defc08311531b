import { expect, it } from 'vitest'
import { unlessAborted } from '../../../protocols/shared/unless-aborted.ts'

// A rejection that nobody hears ends a daemon; here it fails the run.
const failingLater = async (): Promise<never> => {
  await new Promise(setImmediate)
  throw new Error('later')
}

it('gives the result or the error of the promise where that comes first', async () => {
  const { signal } = new AbortController()
  await expect(unlessAborted(Promise.resolve(7), signal)).resolves.toBe(7)
  await expect(unlessAborted(failingLater(), signal)).rejects.toThrow('later')
})

it('rejects with what the signal says, and leaves no rejection of the promise unheard', async () => {
  await expect(unlessAborted(failingLater(), AbortSignal.abort(new Error('before')))).rejects.toThrow(
    'before',
  )

  const meanwhile = new AbortController()
  const waiting = unlessAborted(failingLater(), meanwhile.signal)
  meanwhile.abort(new Error('meanwhile'))
  await expect(waiting).rejects.toThrow('meanwhile')

  const errorOf = (cause: unknown): Error => new Error('in the words of the room', { cause })
  const worded = unlessAborted(failingLater(), AbortSignal.abort(7), { errorOf })
  await expect(worded).rejects.toMatchObject({ message: 'in the words of the room', cause: 7 })

  for (let turns = 0; turns < 3; turns++) await new Promise(setImmediate)
})
