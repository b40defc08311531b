import type { CID } from 'multiformats/cid'

/**
 * Where content can come from. `peer`: connected and speaks the content protocol. `provider`: a peer that the DHT names.
 * `ipfs`: whoever answers Bitswap. `proxy`: a peer that fetches from its own side of IPFS. `gateway`: a trustless HTTP gateway.
 */
export type SourceKind = 'peer' | 'provider' | 'ipfs' | 'proxy' | 'gateway'

export interface Candidate {
  kind: SourceKind
  /** Text form of the peer id; the URL of a gateway; `ipfs`. */
  id: string
}

/** What is known of content before it is fetched; what is not known is left out. */
export interface ContentFacts {
  isPrivate?: boolean
  sizeBytes?: number
  /** Since it was published, or first seen here. */
  ageMs?: number
}

/** Whom content is rather taken from: the network's own peers, or the public side. */
export type Preference = 'p2p' | 'ipfs' | 'none'

/** One reason for a score. */
export interface Term {
  name: TermName
  /** What it was computed from, for people: `12 ms`, `0.93`, `unknown`. */
  value: string
  /** What it adds to the score. */
  points: number
}

export type TermName =
  | 'kind'
  | 'ipfs'
  | 'trust'
  | 'bandwidth'
  | 'latency'
  | 'success'
  | 'bytes'
  | 'claim'
  | 'preference'

export interface RankedSource extends Candidate {
  score: number
  terms: Term[]
}

/** What was learned about a source: counts and sums that halve with every half-life, so that it is what it was lately. */
export interface SourceStatistics {
  successes: number
  failures: number
  /** Of blocks that came, and how long they took to. */
  bytes: number
  transferMs: number
  /** Time to the first answer; null where none was measured. */
  latencyMs: number | null
  /** Answers to what its filter claimed to have. */
  claimsKept: number
  claimsBroken: number
}

/** How a source did in one fetch. */
export interface Outcome extends Candidate {
  /** `missing`: it did not have the content. `failed`: it broke off, was silent or too slow. `invalid`: it sent wrong bytes. */
  result: 'served' | 'missing' | 'failed' | 'invalid'
  bytes: number
  transferMs: number
  latencyMs: number | null
}

/** One scored list of sources, and what is learned about them. */
export interface SourceRouter {
  /** The candidates, the best first; every one of them, but for public sources of private content. */
  rank(root: CID, candidates: readonly Candidate[], facts?: ContentFacts): RankedSource[]
  /** Never throws, never blocks. `root`: what was asked for. */
  report(root: CID, outcome: Outcome): void
  /** As of now; undefined where nothing was learned. */
  statistics(source: Candidate): SourceStatistics | undefined
  /** How many sources content of this size is worth; undefined: not known yet. */
  optimalCount(sizeBytes: number | undefined): number
  /** What the rules say about such content. */
  preference(facts: ContentFacts): Preference
}
