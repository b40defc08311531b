import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'

/** Sleeps shorter than this are saved up: timers are no finer, and a sleep a block would make small blocks slow. */
const MIN_SLEEP_MS = 20

/** Without sleeps, the event loop gets its turn after this long at the latest. */
const TURN_MS = 5

export interface Pacer {
  /** To be awaited after `bytes` were read; resolves early when the signal aborts. */
  spent(bytes: number, signal: AbortSignal): Promise<void>
}

/** Keeps a loop below `bytesPerSecond` on average, and from holding the event loop; 0 means no limit. */
export function createPacer(bytesPerSecond: number): Pacer {
  let dueMs = performance.now()
  let turnedMs = dueMs
  return {
    async spent(bytes, signal) {
      const nowMs = performance.now()
      // Time that was not used is not saved up: a pause must not be followed by a burst.
      if (bytesPerSecond > 0) dueMs = Math.max(dueMs, nowMs) + (bytes / bytesPerSecond) * 1_000
      const aheadMs = dueMs - nowMs
      if (aheadMs >= MIN_SLEEP_MS) await delay(aheadMs, undefined, { signal }).catch(() => {})
      else if (nowMs - turnedMs >= TURN_MS) await turn()
      else return
      turnedMs = performance.now()
    },
  }
}
