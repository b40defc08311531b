/** Requests that are under way, so that a stop can wait for them. Their number is bounded by that of connections. */
export class RunningRequests {
  #count = 0
  #waiting: (() => void) | undefined

  begin(): void {
    this.#count += 1
  }

  end(): void {
    this.#count -= 1
    if (this.#count === 0) this.#waiting?.()
  }

  /** Resolves to true once none is under way, to false where that is not so in time. For one caller. */
  ended(patienceMs: number): Promise<boolean> {
    if (this.#count === 0) return Promise.resolve(true)
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), patienceMs)
      this.#waiting = () => {
        clearTimeout(timer)
        resolve(true)
      }
    })
  }
}
