import type { SignedBytes } from '../../../protocols/trust/types.ts'
import type { HeardView } from '../model/hearsay.ts'

/** What was seen of a peer by this node itself. */
export interface Seen {
  honesty: number
  reliability: number
  /** Pieces of evidence, forgotten with time. */
  evidence: number
  isSetByHand: boolean
}

/** A recommendation of somebody else, as it counts. */
export interface Heard {
  /** Text forms of peer ids. */
  author: string
  subject: string
  view: HeardView
  score: number
  evidence: number
  atMs: number
  sequence: bigint
  /** Network range that its author was connected from; empty where that is not known. */
  range: string
}

export interface HeardSigned {
  heard: Heard
  signed: SignedBytes
}

/** What this node says of a peer. */
export interface Told {
  subject: string
  view: HeardView
  score: number
  /** 0: what was said before is taken back. */
  evidence: number
  atMs: number
  /** Whether the operator said it, and not what was seen. */
  isByHand: boolean
}

/** Since start. */
export interface RecommendationStatistics {
  /** Recommendations that this node gave. */
  told: number
  /** Such of trusted peers that were new. */
  taken: number
  /** Bundles that their authors had not signed. */
  invalid: number
}

/** What an operator does with recommendations. */
export interface Recommendations {
  /**
   * Says now what this node thinks of a peer: what was seen of it, or what the operator set; `withdraw` takes back what was said, and
   * nothing is said of it until this is called again or 30 days have passed.
   *
   * @throws ERR_PEER_INVALID, ERR_NOTHING_SEEN (nothing is known of the peer, and nobody has set its score)
   */
  recommend(peer: string, options?: { withdraw?: boolean }): Promise<{ told: Told[]; recipients: number }>
  /** What this node says of others, by time. At most 512. */
  told(): Told[]
  statistics(): RecommendationStatistics
}
