import { BroughtElsewhere } from '../../../protocols/content/errors.ts'

/** One way to an answer. */
export interface Attempt<Answer> {
  /** How long it has the question to itself. */
  headStartMs: number
  /** @throws where it has none */
  run(signal: AbortSignal): Promise<Answer>
}

/**
 * The first answer of several attempts in their order: the next begins when one has none, or has not answered within its head
 * start. The others are called off. Undefined where none has any.
 *
 * @throws the signal's reason
 */
export async function overlap<Answer>(
  attempts: readonly Attempt<Answer>[],
  signal: AbortSignal,
): Promise<Answer | undefined> {
  signal.throwIfAborted()
  const end = new AbortController()
  const combined = AbortSignal.any([signal, end.signal])
  try {
    return await new Promise<Answer | undefined>((resolve, reject) => {
      let next = 0
      let pending = 0
      let timer: NodeJS.Timeout | undefined
      const begin = (): void => {
        clearTimeout(timer)
        const attempt = attempts[next]
        if (attempt === undefined) {
          if (pending === 0) resolve(undefined)
          return
        }
        next += 1
        pending += 1
        timer = setTimeout(begin, attempt.headStartMs)
        attempt.run(combined).then(resolve, () => {
          pending -= 1
          begin()
        })
      }
      combined.addEventListener('abort', () => {
        clearTimeout(timer)
        reject(combined.reason as Error)
      })
      begin()
    })
  } finally {
    end.abort(new BroughtElsewhere())
  }
}
