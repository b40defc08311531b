import { setImmediate } from 'node:timers/promises'

/** Well under the 50 ms that nothing may block, so that two busy jobs side by side stay under it as well. */
const BUSY_LIMIT_MS = 8

/** Gives the event loop a turn whenever a loop of many small steps has kept it busy for `BUSY_LIMIT_MS`. */
export class Pace {
  #since = performance.now()

  async breathe(): Promise<void> {
    if (performance.now() - this.#since < BUSY_LIMIT_MS) return
    await setImmediate()
    this.#since = performance.now()
  }
}
