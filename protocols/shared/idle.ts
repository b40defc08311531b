/**
 * Notices that nothing happened for too long. Touching it is an assignment, so that it costs nothing on a path that
 * runs for every frame; the clock is looked at four times in the period.
 */
export class IdleWatch {
  readonly #timeoutMs: number
  readonly #onIdle: () => void
  readonly #isWaiting: () => boolean
  readonly #timer: NodeJS.Timeout
  #lastMs = performance.now()

  /** Silence counts only while `isWaiting` says that the other side has something to do. */
  constructor(init: { timeoutMs: number; isWaiting: () => boolean; onIdle: () => void }) {
    this.#timeoutMs = init.timeoutMs
    this.#isWaiting = init.isWaiting
    this.#onIdle = init.onIdle
    this.#timer = setInterval(() => this.#check(), Math.max(10, init.timeoutMs / 4))
    this.#timer.unref()
  }

  touch(): void {
    this.#lastMs = performance.now()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #check(): void {
    if (!this.#isWaiting()) {
      this.touch()
      return
    }
    if (performance.now() - this.#lastMs < this.#timeoutMs) return
    this.stop()
    this.#onIdle()
  }
}
