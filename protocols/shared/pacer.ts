import { setImmediate as turn } from 'node:timers/promises'

/** A loop that never has to wait lets others run after so long: a fifth of what the house allows the event loop. */
const SLICE_MS = 10

/** Gives way to the event loop now and then in loops whose awaits may all resolve at once. */
export class Pacer {
  #sliceStartMs = performance.now()

  /** Undefined, at no cost, where there is still time. */
  breathe(): Promise<void> | undefined {
    if (performance.now() - this.#sliceStartMs < SLICE_MS) return undefined
    return this.#yield()
  }

  async #yield(): Promise<void> {
    await turn()
    this.#sliceStartMs = performance.now()
  }
}

/**
 * Tells handlers that cannot give way, since they are called for each of many events of one turn of the event loop, how
 * long that turn has lasted already.
 */
export class LoopTurn {
  #startMs: number | undefined

  /** Whether it has been so long since the first question of this turn that what can wait should. */
  isLong(): boolean {
    const now = performance.now()
    if (this.#startMs === undefined) {
      this.#startMs = now
      setImmediate(() => {
        this.#startMs = undefined
      })
      return false
    }
    return now - this.#startMs > SLICE_MS
  }
}
