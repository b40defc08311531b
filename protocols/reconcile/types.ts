import type { PeerId } from '@libp2p/interface'

/**
 * Something that many nodes hold and that must become the same with all of them: a set of entries that each prove
 * themselves, so that it does not matter from whom one comes. Its owner keeps it; the protocol only asks.
 */
export interface ReconciledSet {
  /** The same with every node: 1 to 64 of `a-z`, `0-9`, `-`. */
  readonly name: string
  /** No entry is longer, in bytes; at most MAX_ENTRY_BYTES. */
  readonly maxEntryBytes: number
  /** Another number than before whenever an entry has come or gone since. Asked often: must cost nothing. */
  version(): number
  /**
   * Ids of ID_BYTES bytes in ascending order of their bytes, from the first one behind `after` (from the first of all without
   * it), at most `limit` of them; fewer only where the set ends. Must end within a few milliseconds for a limit of 1 000.
   *
   * An id names one entry for everybody, such as the SHA-256 of its bytes. What this node keeps but would not give to
   * others, or has kept beyond its time, is not in it: what is here on one side and refused on the other stays a difference
   * that every round finds again.
   */
  ids(after: Uint8Array | undefined, limit: number): Uint8Array[]
  /** The entry with this id as bytes that prove themselves; undefined where it went since `ids` named it. */
  read(id: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined>
  /**
   * Entries as a peer sent them, unchecked, at most MAX_BATCH_ENTRIES: checks each and keeps what it can. One outcome for
   * each, in their order. What was `taken` is in the set when this resolves.
   *
   * @throws the signal's reason; anything else is this node's own failure and ends the session
   */
  take(
    entries: readonly Uint8Array[],
    peer: string,
    options: { signal: AbortSignal },
  ): Promise<readonly Outcome[]>
}

/** What became of one entry that a peer sent. The id is found from its bytes: what the peer says it is does not count. */
export type Outcome =
  | { verdict: 'taken' | 'known'; id: Uint8Array }
  /** Sound, but not wanted here (no room, a publisher that is distrusted, expired): is not asked for again for a while. */
  | { verdict: 'refused'; id: Uint8Array }
  /** Nobody who follows the rules would hold it: evidence against the peer, and the end of the session. */
  | { verdict: 'invalid' }

/** What one session did. */
export interface Reconciled {
  /** Whether both sides had the same when it ended, but for what either refused; else the next one goes on. */
  isComplete: boolean
  /** Entries that came and were kept. */
  taken: number
  /** Entries that came and were not. */
  refused: number
  /** Entries that the peer kept. */
  given: number
  /** Questions that were asked, each with one answer. */
  exchanges: number
  sentBytes: number
  receivedBytes: number
}

export interface ReconcileStatistics {
  /** Sessions that this node began, and those of them that did not come to their end. */
  begun: number
  failed: number
  /** Sessions of others that were let in. */
  answered: number
  taken: number
  refused: number
  given: number
  sentBytes: number
  receivedBytes: number
}

export type PeerListener = (event: { type: 'connected' | 'disconnected'; peer: PeerId }) => void

/** The service: brings sets of this node and of a peer to the same, at a cost that follows from their difference. */
export interface Reconcile {
  readonly protocols: readonly string[]
  /**
   * Answers for this set from now on; returns the function that ends it. May be called before the start.
   *
   * @throws RangeError for a name or size out of bounds, a name that is taken, or more than MAX_SETS sets
   */
  register(set: ReconciledSet): () => void
  /** Sets that are registered, in the order they came. */
  sets(): ReconciledSet[]
  /**
   * One session with one peer over a set that is registered: takes what the peer has and this node lacks, gives what the peer lacks.
   * Waits where one with this peer over the same set is under way.
   *
   * @throws ERR_RECONCILE_UNSUPPORTED (the peer does not know the protocol, or this set), ERR_RECONCILE_REFUSED (with `status`
   * in its details), ERR_RECONCILE_FAILED (it broke off), ERR_PROTOCOL_VIOLATION, ERR_PEER_DENIED, ERR_CANCELLED
   */
  run(peer: PeerId, set: ReconciledSet, options: { signal: AbortSignal }): Promise<Reconciled>
  /** Connected peers that speak it. */
  peers(): PeerId[]
  /** Calls back when one comes or goes; returns the function that ends it. */
  onPeer(listener: PeerListener): () => void
  statistics(): ReconcileStatistics
}
