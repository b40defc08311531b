/** Callers who wait for what becomes of a pin, by its id. As many as there are calls under way. */
export interface Waiters {
  /** `settled` on `resolve`, `aborted` when the signal aborts; rejects on `reject`. */
  wait(id: number, signal: AbortSignal): Promise<'settled' | 'aborted'>
  resolve(id: number): void
  /** False where nobody waits. */
  reject(id: number, error: unknown): boolean
  rejectAll(error: unknown): void
}

interface Waiter {
  resolve(): void
  reject(error: unknown): void
}

export function createWaiters(): Waiters {
  const waiting = new Map<number, Set<Waiter>>()

  function take(id: number): Set<Waiter> {
    const waiters = waiting.get(id) ?? new Set()
    waiting.delete(id)
    return waiters
  }

  return {
    wait(id, signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return resolve('aborted')
        const waiters = waiting.get(id) ?? new Set()
        waiting.set(id, waiters)
        const abort = (): void => {
          waiters.delete(waiter)
          if (waiters.size === 0 && waiting.get(id) === waiters) waiting.delete(id)
          resolve('aborted')
        }
        const waiter: Waiter = {
          resolve() {
            signal.removeEventListener('abort', abort)
            resolve('settled')
          },
          reject(error) {
            signal.removeEventListener('abort', abort)
            reject(error)
          },
        }
        waiters.add(waiter)
        signal.addEventListener('abort', abort, { once: true })
      })
    },
    resolve(id) {
      for (const waiter of take(id)) waiter.resolve()
    },
    reject(id, error) {
      const waiters = take(id)
      for (const waiter of waiters) waiter.reject(error)
      return waiters.size > 0
    },
    rejectAll(error) {
      for (const id of waiting.keys()) {
        for (const waiter of take(id)) waiter.reject(error)
      }
    },
  }
}
