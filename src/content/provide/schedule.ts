import { RETRY_LIMIT_MS, RETRY_MS } from './limits.ts'

/** Bytes of the digest that choose a record's place: a millisecond of 22 h is chosen by 27 bits. */
const PHASE_BYTES = 6

/**
 * When a record that was announced now is due again: at its own place in the interval, which its digest chooses. So the
 * work is spread evenly however many records came at once, stays so over restarts, and no record is older than the
 * interval; the first announcement after a new one comes early.
 */
export function nextDueMs(digest: Uint8Array, nowMs: number, intervalMs: number): number {
  let phase = 0
  for (const byte of digest.subarray(0, PHASE_BYTES)) phase = phase * 256 + byte
  const phaseMs = Math.floor((phase / 256 ** Math.min(PHASE_BYTES, digest.length || 1)) * intervalMs)
  return Math.floor((nowMs - phaseMs) / intervalMs) * intervalMs + phaseMs + intervalMs
}

/** When a record is tried again that could not be announced `failures` times in a row. */
export function retryAfterMs(failures: number): number {
  return Math.min(RETRY_MS * 2 ** Math.min(failures - 1, 16), RETRY_LIMIT_MS)
}
