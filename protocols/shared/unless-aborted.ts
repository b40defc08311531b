export interface UnlessAbortedOptions {
  /** What to reject with when the signal comes first; its own reason by default. */
  errorOf?: (reason: unknown) => unknown
}

/**
 * The promise's value or error, or what the signal says if that comes first, also where it has come already. The promise
 * goes on, and is heard to its end in any case: a rejection that nobody hears would end the process.
 */
export async function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  { errorOf = (reason) => reason }: UnlessAbortedOptions = {},
): Promise<T> {
  let abort: (() => void) | undefined
  try {
    return await new Promise<T>((resolve, reject) => {
      abort = () => reject(errorOf(signal.reason))
      if (signal.aborted) abort()
      else signal.addEventListener('abort', abort, { once: true })
      promise.then(resolve, reject)
    })
  } finally {
    if (abort !== undefined) signal.removeEventListener('abort', abort)
  }
}
