import type { PeerId } from '@libp2p/interface'

/** Values of Recommendation.view: whether a peer never lies, and whether it does what it promises. */
export const VIEWS = { honesty: 0, reliability: 1 } as const
export type RecommendedView = keyof typeof VIEWS

/** What one peer has seen of another one. */
export interface Recommendation {
  by: PeerId
  subject: PeerId
  view: RecommendedView
  /** In [0, 1], to a millionth. */
  score: number
  /** Pieces of evidence that the score stands on; 0 takes back what was said before. */
  evidence: number
  /** By the clock of who says it. */
  atMs: number
  /** Greater than in every earlier one about the same subject and view. */
  sequence: bigint
}

export interface SignedBytes {
  payload: Uint8Array
  signature: Uint8Array
}

/** A recommendation and how it was signed, to be shown to whoever doubts it. */
export interface SignedRecommendation extends Recommendation {
  signed: SignedBytes
}

export interface Page {
  recommendations: readonly SignedBytes[]
  /** Where to go on, in the answerer's own counter. */
  next: bigint
  more: boolean
}

/** The answerer's side: what this node says of others. */
export interface Book {
  /** Whether a request of this peer may be looked at now. */
  admits(peer: string): boolean
  /** What was said after `since`, at most `limit`, oldest first. Must end within a few milliseconds. */
  page(since: bigint, limit: number): Page
  /** What is known of these peers now, as far as it is worth saying. */
  about(subjects: readonly PeerId[], asker: PeerId): Promise<readonly SignedBytes[]>
}

/** An answer whose recommendations were all signed by the peer that was asked. */
export interface Answer {
  recommendations: SignedRecommendation[]
  next: bigint
  more: boolean
}

/** The service: asks peers that speak `/p2pnode/<network>/trust/<version>` what they have seen of others. */
export interface TrustExchange {
  /** Newest first. */
  readonly protocols: readonly string[]
  /**
   * What a peer says of others since `since` of its own counter (0: from the beginning). Outdated ones are left out.
   *
   * @throws RecommendationsRefusedError, ERR_RECOMMENDATIONS_FAILED, ERR_PROTOCOL_VIOLATION, the signal's reason
   */
  ask(peer: PeerId, since: bigint, options: { signal: AbortSignal }): Promise<Answer>
  /**
   * What a peer has seen of these ones; undefined where it speaks version 1.0, which cannot be asked that.
   *
   * @throws as `ask`; RangeError for more than 16 subjects
   */
  askAbout(
    peer: PeerId,
    subjects: readonly PeerId[],
    options: { signal: AbortSignal },
  ): Promise<SignedRecommendation[] | undefined>
}
