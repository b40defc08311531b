import {
  decodeDeletion,
  decodeDeletions,
  MAX_DELETIONS,
  MAX_STATEMENT_PAYLOAD_BYTES,
  SIGNATURE_BYTES,
} from '../../../protocols/chunk/format/index.ts'
import { ChunkRefusedError, ChunkStatus } from '../../../protocols/chunk/errors.ts'
import type { Deletion, SignedBytes, SlabId } from '../../../protocols/chunk/types.ts'
import { RateLimits } from '../../gossip/rate.ts'
import type { TopicRules } from '../../gossip/topics.ts'
import type { ColumnRow, Columns } from '../../storage/columns/types.ts'
import { rendezvousOrder } from '../restore/rules.ts'
import type { Counters } from './counters.ts'
import { FOREIGN_DELETION_RATE, MAX_RATED_PEERS, TOMBSTONE_SUCCESSORS } from './limits.ts'
import { keepDeletionUntilMs, type Statements } from './statements.ts'

export const DELETIONS_TOPIC = 'vault-deletions'
/** Messages of up to 16 deletions that one author may have forwarded by this node in a second. */
export const DELETIONS_RATE = { perSecond: 8, burst: 64 }
/** What protobuf puts around the payload and the signature of one deletion. */
const ENVELOPE_BYTES = 16

/**
 * The one topic of the vault. A message proves itself: each deletion is signed by its slab's key, whoever sends it. Those
 * that are known here are passed on all the same, or whoever heard of them directly would keep them from the rest.
 */
export function deletionsTopic(networkName: string): TopicRules {
  return {
    name: DELETIONS_TOPIC,
    maxBytes: MAX_DELETIONS * (MAX_STATEMENT_PAYLOAD_BYTES + SIGNATURE_BYTES + ENVELOPE_BYTES),
    authorRate: DELETIONS_RATE,
    check({ data }) {
      try {
        for (const signed of decodeDeletions(data)) decodeDeletion(signed, networkName)
        return 'accept'
      } catch {
        return 'reject'
      }
    },
  }
}

export interface DeletionsOptions {
  columns: Pick<Columns, 'get' | 'bury' | 'isBuried' | 'isComing'>
  statements: Statements
  counters: Counters
  /** This node, as text. */
  self: string
  /** Peers that speak the protocol, as text. */
  knownPeers: () => string[]
  nowMs: () => number
  monotonicMs?: () => number
  onBuried: (slab: SlabId, row: ColumnRow | undefined) => void
}

/** Owners' deletions as they come: which are kept here, and what they remove. */
export class Deletions {
  readonly #options: DeletionsOptions
  readonly #rates: RateLimits

  constructor(options: DeletionsOptions) {
    this.#options = options
    this.#rates = new RateLimits(MAX_RATED_PEERS, options.monotonicMs ?? (() => performance.now()))
  }

  /**
   * An owner, or somebody for it, tells this node: kept in any case, since that is how a deletion outlives its holders, but
   * of slabs that are not held here only so many from one peer.
   *
   * @throws ChunkRefusedError: `invalid`, `busy`, `noSpace`
   */
  async told(signed: SignedBytes, peer: string): Promise<void> {
    const deletion = this.#options.statements.deletion(signed, peer)
    const isForeign = this.#options.columns.get(deletion.slab) === undefined
    if (isForeign && !this.#options.columns.isBuried(deletion.slab)) {
      if (!this.#rates.take(peer, FOREIGN_DELETION_RATE)) throw new ChunkRefusedError(ChunkStatus.busy)
    }
    await this.#bury(deletion)
  }

  /** What others gossip or keep: kept where this node holds the slab, or is about to, or is one of those that remember it. */
  async heard(signed: SignedBytes, peer: string): Promise<void> {
    const deletion = this.#options.statements.deletion(signed, peer)
    const { slab } = deletion
    const { columns } = this.#options
    if (columns.isBuried(slab)) return
    // What is being received would be held afterwards, and the deletion would not come again.
    const isHere = columns.get(slab) !== undefined || columns.isComing(slab)
    if (!isHere && !this.#remembers(slab)) return
    await this.#bury(deletion)
  }

  /** This node's owner deletes: whoever comes back fetches it here. */
  async own(signed: SignedBytes): Promise<void> {
    await this.#bury(this.#options.statements.deletion(signed, this.#options.self), true)
  }

  async #bury({ slab, atMs, signed }: Deletion, isOwn = false): Promise<void> {
    const { columns, counters, nowMs, onBuried } = this.#options
    const keepUntilMs = keepDeletionUntilMs({ atMs })
    const row = columns.get(slab)
    // So old that no lease of the slab can run any more. What is held all the same goes.
    if (keepUntilMs < nowMs() && row === undefined) return
    await columns.bury({ slab, signed, keepUntilMs, isOwn })
    counters.tombstonesKept += 1
    onBuried(slab, row)
  }

  /** Whether this node is among the slab's first rendezvous successors, of the peers it knows. */
  #remembers(slab: SlabId): boolean {
    const { self, knownPeers } = this.#options
    return rendezvousOrder(slab, [self, ...knownPeers()]).indexOf(self) < TOMBSTONE_SUCCESSORS
  }
}
