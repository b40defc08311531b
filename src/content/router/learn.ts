import type { Claim } from '../capabilities/index.ts'
import { INVALID_FAILURES, LATENCY_SHARE } from './limits.ts'
import type { Outcome, SourceStatistics } from './types.ts'

/** What was learned, as of `atMs` (milliseconds since the Unix epoch). */
export interface Learned extends SourceStatistics {
  atMs: number
}

export function unknown(atMs: number): Learned {
  return {
    successes: 0,
    failures: 0,
    bytes: 0,
    transferMs: 0,
    latencyMs: null,
    claimsKept: 0,
    claimsBroken: 0,
    atMs,
  }
}

/** As of a later time: everything that is counted has halved with each half-life. A clock that went back changes nothing. */
export function decayed(learned: Learned, nowMs: number, halfLifeMs: number): Learned {
  const elapsedMs = Math.max(0, nowMs - learned.atMs)
  const left = 2 ** -(elapsedMs / halfLifeMs)
  return {
    successes: learned.successes * left,
    failures: learned.failures * left,
    bytes: learned.bytes * left,
    transferMs: learned.transferMs * left,
    latencyMs: learned.latencyMs,
    claimsKept: learned.claimsKept * left,
    claimsBroken: learned.claimsBroken * left,
    atMs: Math.max(learned.atMs, nowMs),
  }
}

/**
 * With one more outcome. Not to have what one was asked for is no failure, unless one had said so.
 */
export function learn(known: Learned, outcome: Outcome, claim: Claim): Learned {
  const { result, bytes, transferMs, latencyMs } = outcome
  const isBroken = result === 'missing' && claim === 'yes'
  const failures = result === 'invalid' ? INVALID_FAILURES : Number(result === 'failed' || isBroken)
  return {
    ...known,
    successes: known.successes + Number(result === 'served'),
    failures: known.failures + failures,
    bytes: known.bytes + bytes,
    transferMs: known.transferMs + (bytes > 0 ? transferMs : 0),
    latencyMs: mixed(known.latencyMs, latencyMs),
    claimsKept: known.claimsKept + Number(result === 'served' && claim === 'yes'),
    claimsBroken: known.claimsBroken + Number(isBroken),
  }
}

function mixed(known: number | null, measured: number | null): number | null {
  if (measured === null || known === null) return measured ?? known
  return known + LATENCY_SHARE * (measured - known)
}
