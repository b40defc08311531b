import { Wakeup } from '../../../protocols/shared/wakeup.ts'

/**
 * Asks candidates as they come until one gives an answer: the next one when those before have failed or have not
 * answered within their head start. Undefined when all have failed. What still runs then is aborted.
 *
 * @param ask gives undefined where the candidate is of no use; what it throws counts as that
 * @throws the signal's reason
 */
export async function firstGood<Candidate, Answer>(
  candidates: AsyncIterable<Candidate>,
  ask: (candidate: Candidate, signal: AbortSignal) => Promise<Answer | undefined>,
  options: { headStartMs: number; maxAtOnce: number; signal: AbortSignal },
): Promise<Answer | undefined> {
  const stop = new AbortController()
  const signal = AbortSignal.any([options.signal, stop.signal])
  const wakeup = new Wakeup()
  const queue: Candidate[] = []
  const pending = new Set<Promise<void>>()
  let isExhausted = false
  let answer: Answer | undefined

  const collect = async (): Promise<void> => {
    try {
      for await (const candidate of candidates) {
        if (signal.aborted) return
        queue.push(candidate)
        wakeup.notify()
      }
    } catch {
      // Only an abort ends a search early, and that is looked at below.
    } finally {
      isExhausted = true
      wakeup.notify()
    }
  }
  void collect()

  const begin = (candidate: Candidate): void => {
    const question = ask(candidate, signal)
      .then((given) => {
        answer ??= given
      })
      .catch(() => {})
      .finally(() => {
        pending.delete(question)
        wakeup.notify()
      })
    pending.add(question)
  }

  try {
    let askedMs = Number.NEGATIVE_INFINITY
    for (;;) {
      options.signal.throwIfAborted()
      if (answer !== undefined) return answer
      const isDue = pending.size === 0 || performance.now() - askedMs >= options.headStartMs
      const next = isDue && pending.size < options.maxAtOnce ? queue.shift() : undefined
      if (next !== undefined) {
        begin(next)
        askedMs = performance.now()
        continue
      }
      if (isExhausted && queue.length === 0 && pending.size === 0) return undefined
      const dueMs = askedMs + options.headStartMs - performance.now()
      const isWaiting = queue.length > 0 && pending.size < options.maxAtOnce
      const patience = isWaiting ? [signal, AbortSignal.timeout(Math.max(1, Math.ceil(dueMs)))] : [signal]
      await wakeup.wait(AbortSignal.any(patience)).catch(() => {})
    }
  } finally {
    stop.abort(new Error('somebody else answered'))
  }
}
