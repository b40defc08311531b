/** Lets one loop wait for another: `wait` resolves at the next `notify`, or at the one that came since the last wait. */
export class Wakeup {
  #notified = false
  #resolve: (() => void) | undefined

  notify(): void {
    if (this.#resolve === undefined) {
      this.#notified = true
      return
    }
    const resolve = this.#resolve
    this.#resolve = undefined
    resolve()
  }

  /** One waiter at a time. @throws the signal's reason */
  async wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#notified) {
      this.#notified = false
      return
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#resolve = undefined
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#resolve = () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      }
    })
  }
}
