import { setTimeout as sleep } from 'node:timers/promises'
import { unlessAborted } from '../../protocols/shared/unless-aborted.ts'

/** Waits; resolves early, and never rejects, when the signal aborts. */
export async function wait(timeMs: number, signal?: AbortSignal): Promise<void> {
  await sleep(timeMs, undefined, { ref: false, ...(signal !== undefined && { signal }) }).catch(() => {})
}

/** Whether the promise settled, either way, within the time. */
export async function settledWithin(promise: Promise<unknown>, timeMs: number): Promise<boolean> {
  const over = new AbortController()
  try {
    return await Promise.race([
      promise.then(
        () => true,
        () => true,
      ),
      // Not unref'd: whoever waits here keeps the process alive until the answer.
      sleep(timeMs, false, { signal: over.signal }).catch(() => false),
    ])
  } finally {
    over.abort()
  }
}

/** Iterates until the signal aborts, also while the next value is still awaited. */
export async function* abortable<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]()
  let exhausted = false
  try {
    for (;;) {
      signal.throwIfAborted()
      const result = await unlessAborted(iterator.next(), signal)
      if (result.done === true) {
        exhausted = true
        return
      }
      yield result.value
    }
  } finally {
    // Not awaited: a generator that hangs in its next() never answers its return().
    if (!exhausted) iterator.return?.().catch(() => {})
  }
}
