import type { HeldColumn, Proof, SignedBytes, SlabId, SlabIndex } from '../../../protocols/chunk/types.ts'

/** Who pays for a column's room. */
export type Purse =
  | { kind: 'depositor'; peer: string }
  /** The capped pool for what repairs and leaving holders bring. */
  | { kind: 'repair' }

export interface DraftOptions {
  slab: SlabId
  publicKey: Uint8Array
  group: SlabId
  column: number
  k: number
  n: number
  /** Reserved at once; a draft that outgrows it fails with `noSpace`. */
  maxColumnBytes: number
  untilMs: number
  lease: SignedBytes
  leaseSequence: number
  purse: Purse
}

/** A column that is held, with what its holder must know about it. */
export interface ColumnRow {
  slab: SlabId
  column: number
  group: SlabId
  k: number
  n: number
  indexHash: Uint8Array
  columnBytes: number
  untilMs: number
  leaseSequence: number
  purse: Purse
  storedAtMs: number
}

/** A column being written: pieces in order, then the index. Keeps its reservation until it ends. */
export interface Draft {
  beginPiece(pieceBytes: number): void
  write(bytes: Uint8Array): Promise<void>
  /**
   * Resolves once file, name and row survive power loss.
   * @throws ChunkRefusedError: `invalid` (pieces and index differ), `conflict`, `tombstoned`, `noSpace`
   */
  commit(index: SlabIndex): Promise<ColumnRow>
  abort(): Promise<void>
}

/**
 * The very column that a store wants to bring is held already: same slab, column, group, k and n. Nothing has to be sent
 * again. Whoever brings it may be given a receipt again, once the index turned out to be the same (`indexHash`); a
 * lease with a higher number is to be taken over with `renew`.
 */
export interface AlreadyHeld {
  alreadyHeld: ColumnRow
}

export interface ColumnsUsage {
  /** `storage.offer`. */
  offeredBytes: number
  /** Files rounded up to whole file-system blocks, rows, and the reservations of drafts. */
  usedBytes: number
  /** What of that the pool for repair pays. */
  repairBytes: number
  /** The most that the pool for repair may pay. */
  repairPoolBytes: number
  columns: number
  /** Columns being written. */
  drafts: number
  /** Columns that were found rotten and have neither come again nor expired. */
  rottenColumns: number
  tombstones: number
}

/**
 * The sealed columns that this node keeps for others: one file a slab below HOME/columns, rows in state.db. Nothing in
 * it can be read by this node.
 */
export interface Columns {
  /**
   * @throws ChunkRefusedError: `noSpace`, `tombstoned`, `conflict` (something else of this slab is held, or it is being
   *   written), `busy` (too many drafts)
   */
  begin(options: DraftOptions): Promise<Draft | AlreadyHeld>
  get(slab: SlabId): ColumnRow | undefined
  have(slabs: readonly SlabId[]): HeldColumn[]
  /** By slab id, after `after`, at most `limit`. */
  list(options: { after?: SlabId; limit: number }): ColumnRow[]
  ofGroup(group: SlabId): ColumnRow[]
  /** Groups of which anything is held, by id, after `after`, at most `limit`. */
  groups(options: { after?: SlabId; limit: number }): SlabId[]
  index(slab: SlabId): Promise<SignedBytes | undefined>
  /** The newest lease, as it was signed. */
  lease(slab: SlabId): SignedBytes | undefined
  /** Called after a column was found rotten and quarantined. Returns what ends it. */
  onRot(listener: (row: ColumnRow) => void): () => void
  /** Verified against the index; rot is quarantined, reported to `onRot` and counts as not held. */
  piece(slab: SlabId, segment: number, options: { signal: AbortSignal }): Promise<Uint8Array | undefined>
  prove(slab: SlabId, segment: number, leaf: number): Promise<Proof | undefined>
  /** Takes over a newer lease. @throws ChunkRefusedError: `notHeld`, `conflict` */
  renew(slab: SlabId, lease: { signed: SignedBytes; untilMs: number; sequence: number }): Promise<void>
  /**
   * Removes a column without a tombstone: expired, trimmed, handed over. Durable. `isStillSo` is asked of the row as it is when it goes:
   * a renewal may have been acknowledged since whoever removes it has looked. False: it was not held, or it is so no more.
   */
  remove(slab: SlabId, isStillSo?: (row: ColumnRow) => boolean): Promise<boolean>
  /**
   * Keeps the deletion until `keepUntilMs` and removes the column, in one transaction. Of a slab that is buried already
   * only the time is prolonged.
   * @throws ChunkRefusedError: `noSpace` (too many tombstones of slabs that were never held here, unless it `isOwn`: what this
   *   node's owner deletes is not for strangers to crowd out)
   */
  bury(deletion: { slab: SlabId; signed: SignedBytes; keepUntilMs: number; isOwn?: boolean }): Promise<void>
  isBuried(slab: SlabId): boolean
  /** Whether a column of the slab is being received. */
  isComing(slab: SlabId): boolean
  /** The owner's deletion, as it was signed. */
  tombstone(slab: SlabId): SignedBytes | undefined
  tombstones(after: number, limit: number): { deletions: SignedBytes[]; next: number }
  /** Columns whose lease ended before `nowMs`, the rotten among them, at most `limit`. */
  expired(nowMs: number, limit: number): ColumnRow[]
  /** Removes tombstones that are past their time; returns how many. */
  forgetTombstones(nowMs: number): Promise<number>
  /** Bytes that a depositor may still use, and what repair may. */
  free(peer: string): { depositorBytes: number; repairBytes: number }
  usage(): ColumnsUsage
  /** Files without a row, rows without a file: counted, and removed unless `dryRun`. Columns being written are neither. */
  sweep(options: { dryRun: boolean; signal: AbortSignal }): Promise<{ orphans: number; bytes: number }>
  /**
   * Reads every column at a bounded rate; what is rotten is quarantined and reported. `after` continues an interrupted scrub.
   * @throws ERR_CANCELLED
   */
  scrub(options: {
    signal: AbortSignal
    after?: SlabId
    onProgress?: (position: { after: SlabId; checkedColumns: number; rottenColumns: number }) => void
  }): Promise<{ checkedColumns: number; rottenColumns: number }>
  close(): Promise<void>
}
