import type { Ban } from './scores.ts'

/** Long enough that coming back at once is no use, short enough for a peer that was wronged by a bug. */
const FIRST_BAN_MS = 10 * 60_000
/** Each further one is twice as long, up to a day. */
const LONGEST_BAN_MS = 24 * 3_600_000
/** After so long without a ban the next one is a first again. */
const FORGOTTEN_MS = 30 * 24 * 3_600_000

/** The ban that follows the one before, if any. */
export function banFor(before: Ban | null, nowMs: number): Ban {
  const isFirst = before === null || nowMs > before.untilMs + FORGOTTEN_MS
  const count = isFirst ? 1 : before.count + 1
  return { count, untilMs: nowMs + Math.min(LONGEST_BAN_MS, FIRST_BAN_MS * 2 ** (count - 1)) }
}
