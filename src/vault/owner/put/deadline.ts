/**
 * A signal that aborts with its parent, or when what it watches takes too long: one for many steps, since a new timer and a
 * new signal for each of thousands of pieces would cost more than the pieces.
 */
export class Deadline {
  readonly #controller = new AbortController()
  readonly #parent: AbortSignal
  readonly #onAbort: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(parent: AbortSignal) {
    this.#parent = parent
    this.#onAbort = () => this.#controller.abort(parent.reason)
    if (parent.aborted) this.#onAbort()
    else parent.addEventListener('abort', this.#onAbort, { once: true })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** The next step may take so long. */
  async within<T>(timeoutMs: number, what: string, step: () => Promise<T>): Promise<T> {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(
      () => this.#controller.abort(new Error(`${what} took longer than ${timeoutMs} ms`)),
      timeoutMs,
    )
    try {
      return await step()
    } finally {
      clearTimeout(this.#timer)
    }
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#parent.removeEventListener('abort', this.#onAbort)
  }
}
