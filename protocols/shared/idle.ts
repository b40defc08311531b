/**
 * Notices that nothing happened for too long. Touching it is an assignment, so that it costs nothing on a path that
 * runs for every frame; the clock is looked at four times in the period.
 */
export class IdleWatch {
  readonly #timeoutMs: number
  readonly #onIdle: () => void
  readonly #isWaiting: () => boolean
  readonly #timer: NodeJS.Timeout
  readonly #intervalMs: number
  #lastMs = performance.now()
  #checkedMs = performance.now()

  /** Silence counts only while `isWaiting` says that the other side has something to do. */
  constructor(init: { timeoutMs: number; isWaiting: () => boolean; onIdle: () => void }) {
    this.#timeoutMs = init.timeoutMs
    this.#isWaiting = init.isWaiting
    this.#onIdle = init.onIdle
    this.#intervalMs = Math.max(10, init.timeoutMs / 4)
    this.#timer = setInterval(() => this.#check(), this.#intervalMs)
    this.#timer.unref()
  }

  touch(): void {
    this.#lastMs = performance.now()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #check(): void {
    const now = performance.now()
    // When this process itself stood still, what has arrived meanwhile is only about to be seen.
    const stoodStill = now - this.#checkedMs > 2 * this.#intervalMs
    this.#checkedMs = now
    if (stoodStill || !this.#isWaiting()) {
      this.touch()
      return
    }
    if (now - this.#lastMs < this.#timeoutMs) return
    this.stop()
    this.#onIdle()
  }
}
