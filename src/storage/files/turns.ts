import { storageBusy } from '../errors.ts'

/** How long one turn of the event loop may go on with the store's work before everything else gets its turn. */
const BUDGET_MS = 10

/** Callers let go on in one turn: some 3 ms of puts. What they do comes after their release, so time cannot be the measure. */
const RELEASED_A_TURN = 64

/** Callers that wait; more ignore the promises they are given. */
const MAX_WAITING = 65_536

/**
 * Keeps callers who await one block after the other, or ask for thousands at once, from holding the event loop: what is
 * answered from memory or from the database never waits for anything, so that a loop over it would run without a turn.
 */
export class Turns {
  readonly #waiting: (() => void)[] = []
  #beganMs: number | undefined

  /**
   * Undefined where there is time now, otherwise what to wait for; to be asked before each piece of synchronous work.
   * @throws ERR_STORAGE_BUSY
   */
  take(): Promise<void> | undefined {
    if (this.#beganMs === undefined) {
      this.#beganMs = performance.now()
      setImmediate(() => this.#next())
      return undefined
    }
    if (this.#waiting.length === 0 && performance.now() - this.#beganMs <= BUDGET_MS) return undefined
    if (this.#waiting.length >= MAX_WAITING) throw storageBusy('block operations', MAX_WAITING)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #next(): void {
    for (const release of this.#waiting.splice(0, RELEASED_A_TURN)) release()
    if (this.#waiting.length > 0) setImmediate(() => this.#next())
    else this.#beganMs = undefined
  }
}
