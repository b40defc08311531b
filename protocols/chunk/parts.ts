import { MIN_PART_BYTES } from './limits.ts'

/**
 * How much of what is left of a piece the next part takes: parts of about equal length, none longer than `mostBytes`, since
 * a remainder of a few bytes costs a whole frame; and none but the last shorter than a part may be.
 */
export function nextPartBytes(leftBytes: number, mostBytes: number): number {
  const most = Math.max(mostBytes, MIN_PART_BYTES)
  const partBytes = Math.ceil(leftBytes / Math.ceil(leftBytes / most))
  return Math.min(leftBytes, Math.max(partBytes, MIN_PART_BYTES))
}
