import type { PeerId } from '@libp2p/interface'

/** SHA-256 of a slab's public key: 32 bytes. As a key of maps and in texts it is written in lower-case hex. */
export type SlabId = Uint8Array

/** What was signed, byte for byte, and the Ed25519 signature over its domain and it (docs/vault-format.md). */
export interface SignedBytes {
  readonly payload: Uint8Array
  readonly signature: Uint8Array
}

/** A slab's index, decoded and checked: signature, slab id, bounds. */
export interface SlabIndex {
  readonly slab: SlabId
  readonly publicKey: Uint8Array
  readonly group: SlabId
  readonly k: number
  readonly n: number
  /** Bytes of each sealed segment; its length is the number of segments (1 to 64). */
  readonly sealedBytes: readonly number[]
  /** SHA-256 of the payload: two indexes are the same if this is. */
  readonly hash: Uint8Array
  readonly signed: SignedBytes
  /** The Merkle root of one piece: 32 bytes. */
  root(segment: number, column: number): Uint8Array
  /** Bytes of every piece of the segment. */
  pieceBytes(segment: number): number
  /** Bytes of all pieces of one column. */
  readonly columnBytes: number
}

export interface Lease {
  readonly slab: SlabId
  readonly publicKey: Uint8Array
  readonly untilMs: number
  /** The higher number counts. */
  readonly sequence: number
  readonly signed: SignedBytes
}

export interface Deletion {
  readonly slab: SlabId
  readonly publicKey: Uint8Array
  readonly atMs: number
  readonly signed: SignedBytes
}

/** A holder's promise, signed with the key of its peer id after the column was durable. */
export interface Receipt {
  readonly slab: SlabId
  readonly column: number
  readonly indexHash: Uint8Array
  readonly untilMs: number
  readonly atMs: number
  readonly signed: SignedBytes
}

export interface Proof {
  /** The leaf's bytes: 16 KiB, or less at a piece's end. */
  leaf: Uint8Array
  /** Sibling hashes from the leaf up, 32 bytes each. */
  path: Uint8Array[]
}

/** Why a column comes: who pays for its room. */
export type StorePurpose =
  /** an owner's put: the depositor's share */
  | 'put'
  /** rebuilt by a repair: the holder's capped pool for that */
  | 'repair'
  /** handed over by a holder that leaves: the same pool */
  | 'handover'

/** What a store begins with, before the pieces. */
export interface StoreOpen {
  publicKey: Uint8Array
  group: SlabId
  column: number
  k: number
  n: number
  /** Upper bound of the column's bytes: reserved before the first piece. */
  maxColumnBytes: number
  /** Signed by the slab's key. */
  lease: SignedBytes
  purpose: StorePurpose
}

/** A column that somebody says to hold. */
export interface HeldColumn {
  slab: SlabId
  column: number
  indexHash: Uint8Array
  /** Until when the lease runs, by the answerer's clock. */
  untilMs: number
  /** A repair or a leaving holder brought it, not the owner: it gives way to one that the owner brought. */
  isRebuilt?: boolean
}

export interface Capacity {
  /** False: this node lends nothing, or takes nothing now. */
  accepts: boolean
  offeredBytes: number
  /** What a put of the asker may still use. */
  freeBytes: number
  /** What repair and handover may still use. */
  repairFreeBytes: number
}

/** Who holds columns of a group, as told: starting places to ask, never proof. */
export interface Hint {
  group: SlabId
  peers: string[]
}

export interface Found {
  slab: SlabId
  peer: string
  /** Multiaddrs without the peer id, at most 8; may be empty. */
  addresses: string[]
}

/** Asks on behalf of somebody: forwarded at most `hopsLeft` times. */
export interface LocateQuery {
  /** Random, 16 bytes: whoever has seen it answers with nothing. */
  id: Uint8Array
  slabs: SlabId[]
  hopsLeft: number
}

/** One column on its way in. Writes in order: segments from 0, each piece whole or in parts from offset 0. */
export interface ColumnDraft {
  write(bytes: Uint8Array): Promise<void>
  /** Says how many bytes the next piece has; before its first `write`. */
  beginPiece(pieceBytes: number): void
  /**
   * Checks the pieces against the index, makes the column durable and gives the signed receipt.
   * @throws ChunkRefusedError (`conflict`, `tombstoned`, `noSpace`, `invalid`)
   */
  commit(index: SignedBytes): Promise<SignedBytes>
  /** Forgets it. Does no harm after a commit. */
  abort(): Promise<void>
}

/**
 * What a node answers with: its side of every request. Arrives through `init`; tests bring small ones. Statements that
 * are not what they should be are reported by it; pieces that are not what their index says, by the service. What any
 * method throws becomes a status: that of a ChunkRefusedError, otherwise `failed`.
 */
export interface ChunkHolder {
  capacity(peer: string): Capacity
  /** @throws ChunkRefusedError */
  begin(open: StoreOpen, peer: string): Promise<ColumnDraft>
  have(slabs: readonly SlabId[]): HeldColumn[]
  index(slab: SlabId): Promise<SignedBytes | undefined>
  /** The newest lease that is known here: whoever repairs stores with it. */
  lease(slab: SlabId): SignedBytes | undefined
  /** Bytes of a held piece from `offset`, verified as a whole before they are given; undefined where it is not held (any more). */
  piece(slab: SlabId, segment: number, options: { signal: AbortSignal }): Promise<Uint8Array | undefined>
  /** A leaf with its proof; undefined where the column is not held or is rotten. */
  prove(slab: SlabId, segment: number, leaf: number): Promise<Proof | undefined>
  /** @throws ChunkRefusedError (`notFound`, `invalid`) */
  renew(lease: SignedBytes, peer: string): Promise<void>
  /** Takes the owner's deletion, also of a slab that is not held: it is kept as a tombstone. @throws ChunkRefusedError */
  remove(deletion: SignedBytes, peer: string): Promise<void>
  /** The owner's deletion of a slab, where it is known here: why a column that was held a moment ago cannot be proven. */
  tombstone(slab: SlabId): SignedBytes | undefined
  /** Tombstones by this node's own counter, oldest first. */
  tombstones(after: number, limit: number): { deletions: SignedBytes[]; next: number }
  /** Whether the peer may repair the column now; a claim ends by itself after `ttlMs`. */
  claim(slab: SlabId, column: number, ttlMs: number, peer: string): boolean
  hint(hint: Hint, peer: string): void
  locate(query: LocateQuery, peer: string, signal: AbortSignal): Promise<Found[]>
}

/** One column on its way out. */
export interface StoreStream {
  readonly peer: PeerId
  /**
   * The next piece, whole; one call at a time. Resolves when the holder's credit and the stream have taken it. The bytes
   * must not change any more. Whoever gives up calls `abort`.
   *
   * @throws ChunkRefusedError where the holder ends the store, ERR_STREAM_FAILED, ERR_CANCELLED
   */
  write(piece: Uint8Array, signal: AbortSignal): Promise<void>
  /** @throws ChunkRefusedError, or a verification error where the receipt does not fit */
  finish(index: SlabIndex, signal: AbortSignal): Promise<Receipt>
  abort(error: Error): void
}

export interface FetchOptions {
  /** Which segments, ascending. */
  segments: readonly number[]
  signal: AbortSignal
}

/**
 * The service: sealed columns between peers that speak `/p2pnode/<network>/chunk/<version>`. Every
 * method also throws ChunkRefusedError, ERR_STREAM_FAILED, ERR_REQUEST_TIMEOUT and ERR_CANCELLED; `store` and `fetch`
 * ERR_PEER_DENIED where this node's own trust does not allow the peer.
 *
 * It reports what it sees itself: `transfer-served`, `transfer-failed`, `piece-invalid`, `receipt-broken` (a receipt that does not fit),
 * `message-invalid` (an index or a lease that its slab did not sign), `protocol-violation`, `limit-exceeded`. What an audit
 * means is for its caller to know and to report.
 */
export interface Chunk {
  readonly protocols: string[]
  /** Connected peers that speak the protocol. */
  peers(): PeerId[]
  onPeer(listener: (event: { type: 'connected' | 'disconnected'; peer: PeerId }) => void): () => void
  capacity(peer: PeerId, signal: AbortSignal): Promise<Capacity>
  /** Resolves once the holder has reserved the room. @throws ChunkRefusedError */
  store(peer: PeerId, open: StoreOpen, signal: AbortSignal): Promise<StoreStream>
  /** At most 1 024 slabs a call. */
  have(peer: PeerId, slabs: readonly SlabId[], signal: AbortSignal): Promise<HeldColumn[]>
  /** Checked: signature and slab id. @throws ERR_NOT_FOUND, ERR_CHUNK_INVALID */
  index(peer: PeerId, slab: SlabId, signal: AbortSignal): Promise<SlabIndex>
  /** Checked: signature and slab id. @throws ERR_NOT_FOUND, ERR_CHUNK_INVALID */
  lease(peer: PeerId, slab: SlabId, signal: AbortSignal): Promise<Lease>
  /** Pieces of the peer's column in order, each verified against the index. @throws ERR_NOT_FOUND, ERR_CHUNK_INVALID */
  fetch(
    peer: PeerId,
    index: SlabIndex,
    column: number,
    options: FetchOptions,
  ): AsyncIterable<{ segment: number; bytes: Uint8Array }>
  /**
   * Resolves if the peer proved the leaf.
   *
   * @throws ERR_NOT_FOUND (it says that it has it not), ERR_CHUNK_INVALID (it lied), ChunkRefusedError (`tombstoned`: it
   *   showed the owner's deletion)
   */
  audit(
    peer: PeerId,
    index: SlabIndex,
    place: { column: number; segment: number; leaf: number },
    signal: AbortSignal,
  ): Promise<void>
  /** One status (protocols/shared/status.ts) a lease. */
  renew(peer: PeerId, leases: readonly SignedBytes[], signal: AbortSignal): Promise<number[]>
  remove(peer: PeerId, deletions: readonly SignedBytes[], signal: AbortSignal): Promise<number[]>
  tombstones(
    peer: PeerId,
    after: number,
    signal: AbortSignal,
  ): Promise<{ deletions: SignedBytes[]; next: number }>
  /** False: somebody else has the claim, or the peer refuses. */
  claim(
    peer: PeerId,
    claim: { slab: SlabId; column: number; ttlMs: number },
    signal: AbortSignal,
  ): Promise<boolean>
  hint(peer: PeerId, hint: Hint, signal: AbortSignal): Promise<void>
  /** At most 64 slabs a query. */
  locate(peer: PeerId, query: LocateQuery, signal: AbortSignal): Promise<Found[]>
  statistics(): { sentBytes: number; receivedBytes: number; inboundStreams: number; outboundStreams: number }
}
