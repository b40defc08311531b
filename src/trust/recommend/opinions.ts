import type { PeerId, PrivateKey } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { MAX_AGE_MS, signRecommendation } from '../../../protocols/trust/index.ts'
import type { SignedBytes } from '../../../protocols/trust/types.ts'
import { HEARD_VIEWS, type HeardView } from '../model/hearsay.ts'
import { BASELINE } from '../model/weights.ts'
import { MIN_CHANGE, MIN_EVIDENCE, VOUCHED_EVIDENCE } from './limits.ts'
import type { ToldStore } from './told.ts'
import type { Seen, Told } from './types.ts'

export interface OpinionsOptions {
  identity: { peerId: PeerId; privateKey: PrivateKey }
  networkName: string
  seen: (peer: string) => Seen
  told: ToldStore
  now: () => number
}

/** One view of one peer that is worth saying. */
export type Saying = Pick<Told, 'subject' | 'view' | 'score' | 'evidence' | 'isByHand'>

/** What this node thinks of others, as far as it is worth saying, and signed. */
export class Opinions {
  readonly #options: OpinionsOptions

  constructor(options: OpinionsOptions) {
    this.#options = options
  }

  /** What has moved since it was last said. */
  moved(peer: string): Saying[] {
    const { seen, told } = this.#options
    const { honesty, reliability, evidence, isSetByHand } = seen(peer)
    // What the operator thinks is said when the operator says so.
    if (isSetByHand || evidence < MIN_EVIDENCE) return []
    const scores: Record<HeardView, number> = { honesty, reliability }
    return HEARD_VIEWS.flatMap((view) => {
      const before = this.#current(told.find(peer, view))
      const isWithdrawn = before?.isByHand === true && before.evidence === 0
      if (isWithdrawn || Math.abs(scores[view] - (before?.score ?? BASELINE)) < MIN_CHANGE) return []
      return [{ subject: peer, view, score: scores[view], evidence: Math.round(evidence), isByHand: false }]
    })
  }

  /** What there is to say of a peer, moved or not; empty where nothing is known of it. */
  known(peer: string): Saying[] {
    const { honesty, reliability, evidence, isSetByHand } = this.#options.seen(peer)
    const pieces = Math.max(isSetByHand ? VOUCHED_EVIDENCE : 0, Math.round(evidence))
    if (pieces === 0) return []
    const scores: Record<HeardView, number> = { honesty, reliability }
    return HEARD_VIEWS.map((view) => {
      return { subject: peer, view, score: scores[view], evidence: pieces, isByHand: isSetByHand }
    })
  }

  /** That nothing is said of a peer any more. */
  withdrawn(peer: string): Saying[] {
    return HEARD_VIEWS.map((view) => {
      return { subject: peer, view, score: BASELINE, evidence: 0, isByHand: true }
    })
  }

  /** What was said last of a peer and is not out of date. */
  said(peer: string): SignedBytes[] {
    return HEARD_VIEWS.flatMap((view) => {
      const before = this.#current(this.#options.told.find(peer, view))
      return before === undefined ? [] : [before.signed]
    })
  }

  /** Signs, and keeps for those who ask. */
  async sign(sayings: readonly Saying[]): Promise<(Told & { signed: SignedBytes })[]> {
    const { identity, networkName, told, now } = this.#options
    const all: (Told & { sequence: bigint; signed: SignedBytes })[] = []
    for (const saying of sayings) {
      const atMs = now()
      const sequence = told.nextSequence(BigInt(atMs) * 1_000n)
      const { score, evidence, view } = saying
      const subject = peerIdFromString(saying.subject)
      const said = { by: identity.peerId, subject, view, score, evidence, atMs, sequence }
      const signed = await signRecommendation(identity.privateKey, networkName, said)
      all.push({ ...saying, atMs, sequence, signed })
    }
    told.put(all)
    return all
  }

  #current<Said extends Told>(told: Said | undefined): Said | undefined {
    return told !== undefined && this.#options.now() - told.atMs <= MAX_AGE_MS ? told : undefined
  }
}
