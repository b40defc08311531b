import type { Claim } from '../capabilities/index.ts'
import {
  MANY_BYTES,
  MAX_LATENCY_MS,
  MAX_SEARCH_LATENCY_MS,
  MIN_TRANSFER_MS,
  NEGLIGIBLE,
  UNKNOWN_LATENCY_MS,
} from './limits.ts'
import type { Preference, SourceKind, SourceStatistics, Term } from './types.ts'

/** As `config.content.router.weights` holds them. */
export type Weights = Readonly<
  Record<
    'directPeer' | 'ipfs' | 'trust' | 'bandwidth' | 'latency' | 'success' | 'bytes' | 'claim' | 'preference',
    number
  >
>

/** What a score is made of. What is not known is null, or left out. */
export interface SourceFacts {
  kind: SourceKind
  /** Whether it reaches IPFS by itself. */
  hasIpfs: boolean
  /** In [0, 1]; null where the source is no peer. */
  trust: number | null
  /** What it says that it sends at most. */
  toldBytesPerSecond: number | null
  /** Of the connection to it. */
  connectionLatencyMs: number | null
  statistics: SourceStatistics | undefined
  /** What it says about the content, by its filter; for what the DHT names, `yes`. */
  claim: Claim
  preference: Preference
}

const MIB = 1024 * 1024

/** Whom the rules count among the network's own: a proxy is a peer, too. */
const P2P_KINDS: ReadonlySet<SourceKind> = new Set<SourceKind>(['peer', 'provider', 'proxy'])

/** Whoever has to look for content first. */
const SEARCHING_KINDS: ReadonlySet<SourceKind> = new Set<SourceKind>(['ipfs', 'proxy', 'gateway'])

/** A source's score, and each reason for it. More is better; bounded by the weights. */
export function scoreOf(
  facts: SourceFacts,
  weights: Weights,
  fastBytesPerSecond: number,
): { score: number; terms: Term[] } {
  const terms: Term[] = [
    term('kind', facts.kind, facts.kind === 'peer' ? weights.directPeer : 0),
    term('ipfs', facts.hasIpfs ? 'yes' : 'no', facts.hasIpfs ? weights.ipfs : 0),
    term(
      'trust',
      facts.trust === null ? 'not a peer' : round(facts.trust),
      weights.trust * (facts.trust ?? 0.5),
    ),
    bandwidthTerm(facts, weights, fastBytesPerSecond),
    latencyTerm(facts, weights),
    successTerm(facts.statistics, weights),
    bytesTerm(facts.statistics, weights),
    claimTerm(facts, weights),
    preferenceTerm(facts, weights),
  ]
  return { score: terms.reduce((sum, { points }) => sum + points, 0), terms }
}

/** Bytes a second that a source was seen to send; null: not seen for long enough. */
export function measuredBytesPerSecond(statistics: SourceStatistics | undefined): number | null {
  if (statistics === undefined || statistics.transferMs < MIN_TRANSFER_MS) return null
  return (statistics.bytes * 1_000) / statistics.transferMs
}

/** The part of tries that went well, with one good and one bad assumed: an unknown source is in the middle. */
export function successRate(statistics: SourceStatistics | undefined): number {
  const { successes = 0, failures = 0 } = statistics ?? {}
  return (successes + 1) / (successes + failures + 2)
}

/** The part of claims that were true; 1 as long as none was found to be false. */
function keptRate(statistics: SourceStatistics | undefined): number {
  const { claimsKept = 0, claimsBroken = 0 } = statistics ?? {}
  return (claimsKept + 1) / (claimsKept + claimsBroken + 1)
}

/** A source of which nothing is known is in the middle: neither first nor never tried. */
function bandwidthTerm(facts: SourceFacts, weights: Weights, fastBytesPerSecond: number): Term {
  const measured = measuredBytesPerSecond(facts.statistics)
  const known = [measured, facts.toldBytesPerSecond].filter((rate) => rate !== null)
  if (known.length === 0) return term('bandwidth', 'unknown', weights.bandwidth / 2)
  const least = Math.min(...known)
  const value = `${round(least / MIB)} MiB/s${measured === null ? ' at most' : ''}`
  // Who is held back to much is not thereby known to be fast.
  const most = measured === null ? 0.5 : 1
  return term('bandwidth', value, weights.bandwidth * Math.min(most, least / fastBytesPerSecond))
}

function latencyTerm(facts: SourceFacts, weights: Weights): Term {
  const latencyMs = facts.statistics?.latencyMs ?? facts.connectionLatencyMs
  const mostMs = SEARCHING_KINDS.has(facts.kind) ? MAX_SEARCH_LATENCY_MS : MAX_LATENCY_MS
  const counted = Math.min(mostMs, Math.max(0, latencyMs ?? UNKNOWN_LATENCY_MS))
  return term(
    'latency',
    latencyMs === null ? 'unknown' : `${round(latencyMs)} ms`,
    -weights.latency * counted,
  )
}

function successTerm(statistics: SourceStatistics | undefined, weights: Weights): Term {
  const { successes = 0, failures = 0 } = statistics ?? {}
  const isKnown = successes + failures > NEGLIGIBLE
  const value = isKnown ? `${round(successes)} of ${round(successes + failures)}` : 'unknown'
  return term('success', value, weights.success * (2 * successRate(statistics) - 1))
}

function bytesTerm(statistics: SourceStatistics | undefined, weights: Weights): Term {
  const bytes = statistics?.bytes ?? 0
  const part = Math.min(1, Math.log2(1 + bytes / MIB) / Math.log2(1 + MANY_BYTES / MIB))
  return term('bytes', `${round(bytes / MIB)} MiB`, weights.bytes * part)
}

function claimTerm({ kind, claim, statistics }: SourceFacts, weights: Weights): Term {
  if (claim !== 'yes') return term('claim', claim === 'no' ? 'says no' : 'says nothing', 0)
  if (kind === 'provider') return term('claim', 'DHT record', weights.claim * keptRate(statistics))
  const kept = keptRate(statistics)
  return term('claim', kept === 1 ? 'says yes' : `says yes, kept ${round(kept)}`, weights.claim * kept)
}

function preferenceTerm({ kind, preference }: SourceFacts, weights: Weights): Term {
  const isPreferred = preference === (P2P_KINDS.has(kind) ? 'p2p' : 'ipfs')
  return term('preference', preference, isPreferred ? weights.preference : 0)
}

function term(name: Term['name'], value: string, points: number): Term {
  // Without a negative zero, which JSON and people read differently.
  return { name, value, points: points === 0 ? 0 : points }
}

function round(value: number): string {
  return String(Math.round(value * 100) / 100)
}
