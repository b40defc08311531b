interface Waiter {
  resolve: (bytes: Uint8Array) => void
  reject: (error: Error) => void
}

/** Callers that wait for single blocks of a fetch, by the block's key. */
export class Waiters {
  readonly #byKey = new Map<string, Waiter[]>()

  has(key: string): boolean {
    return this.#byKey.has(key)
  }

  wait(key: string, signal: AbortSignal): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    const waiter: Waiter = {
      resolve: (bytes) => {
        signal.removeEventListener('abort', onAbort)
        resolve(bytes)
      },
      reject: (error) => {
        signal.removeEventListener('abort', onAbort)
        reject(error)
      },
    }
    const onAbort = (): void => {
      const others = (this.#byKey.get(key) ?? []).filter((other) => other !== waiter)
      if (others.length === 0) this.#byKey.delete(key)
      else this.#byKey.set(key, others)
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.#byKey.set(key, [...(this.#byKey.get(key) ?? []), waiter])
    return promise
  }

  answer(key: string, bytes: Uint8Array): void {
    for (const waiter of this.#take(key)) waiter.resolve(bytes)
  }

  reject(key: string, error: Error): void {
    for (const waiter of this.#take(key)) waiter.reject(error)
  }

  rejectAll(error: Error): void {
    for (const key of this.#byKey.keys()) this.reject(key, error)
  }

  #take(key: string): Waiter[] {
    const waiters = this.#byKey.get(key) ?? []
    this.#byKey.delete(key)
    return waiters
  }
}
