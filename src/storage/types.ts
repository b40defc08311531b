import type { Blockstore } from 'interface-blockstore'
import type { Datastore } from 'interface-datastore'
import type { CID } from 'multiformats/cid'

/**
 * Keeps blocks from the collector while an operation is under way: nothing that was put or touched after the lease was
 * opened is collected before it is released. Durable: a job that goes on after a restart takes its lease up again by
 * its id before the collector may run.
 */
export interface Lease {
  readonly id: string
  /** Marks blocks that are already held as needed by this operation. */
  touch(cids: CID[]): Promise<void>
  release(): Promise<void>
}

export interface LeaseOptions {
  /** True for an operation that is not taken up again: a lease left open by a crash ends with the next start. */
  endsWithProcess?: boolean
  /** Nothing at all is collected or evicted while it is open, also of what came before it. */
  keepsAll?: boolean
}

export interface GetOptions {
  signal?: AbortSignal
  /** False for what is not likely to be read again soon: the memory tier stays as it is. */
  remember?: boolean
}

export interface PutOptions {
  signal?: AbortSignal
  /** True when the caller has just checked the bytes against the CID, so that they are not hashed twice. */
  verified?: boolean
  /** Somebody gave it to this node, which has not fetched it: it stays until it is collected, and no eviction takes it. */
  isAdded?: boolean
}

/**
 * Which blocks may be known to peers of this network alone. A mark is by multihash, does not depend on the block being held,
 * and stays until `drop`.
 */
export interface Marks {
  /** Answers at once: a row of an index that is in memory, or nothing to look up where there is no mark at all. */
  has(cid: CID): boolean
  /** Resolves once the marks are as durable as a put; `has` knows them at once. */
  add(cids: readonly CID[]): Promise<void>
  /** Counts the times that marks were renewed: see `begin`. */
  readonly generation: number
  /** What was marked as a whole. Removing a root leaves the marks. */
  addRoot(cid: CID): Promise<void>
  removeRoot(cid: CID): Promise<void>
  /** By CID, at most 1 000 a page. */
  roots(options?: { after?: CID; limit?: number }): { cid: CID; createdAtMs: number }[]
  /**
   * Begins to take marks back: what is added from now on carries the new generation, and `drop` takes only older ones. Whoever
   * drops first adds again everything that is to stay.
   */
  begin(): Promise<void>
  /** Takes back those marks that were not added again since `begin`. */
  drop(cids: readonly CID[]): Promise<void>
  /** No more `drop` follows. */
  end(): void
}

export interface BlockUsage {
  /** Everything that counts towards the quota: databases, logs, files rounded up to whole file-system blocks. */
  usedBytes: number
  quotaBytes: number
  blocks: number
  /** Bytes of the blocks themselves. */
  blockBytes: number
  /** Blocks that were found rotten and could not be healed so far. */
  quarantined: number
}

/** The public blocks that this node holds: memory over SQLite (≤ 16 KiB) over files. Blocks are known by multihash. */
export interface Blocks {
  /**
   * The verified bytes, or undefined where the block is not held. A rotten block is quarantined and counts as not held.
   * The array is shared with other readers and with the memory tier: it must not be changed.
   */
  get(cid: CID, options?: GetOptions): Promise<Uint8Array | undefined>
  has(cid: CID): Promise<boolean>
  /** Which of the CIDs are held, in one question. */
  hasMany(cids: CID[]): Promise<boolean[]>
  /** Size in bytes of a held block. */
  size(cid: CID): Promise<number | undefined>
  /**
   * The bytes must not be changed before this settles. Resolves once the block survives power loss (`storage.durability: full`), or a crash of the process (`relaxed`).
   * @throws ERR_BLOCK_INVALID, ERR_BLOCK_TOO_LARGE (over 2 MiB), ERR_QUOTA, ERR_DISK_FULL, ERR_STORAGE_CLOSED
   */
  put(cid: CID, bytes: Uint8Array, options?: PutOptions): Promise<void>
  /** Calls back with every block that was put, once it is held; returns how to end that. */
  watch(onPut: (cid: CID) => void): () => void
  /** A lease under a known id continues the one of that id. */
  lease(id: string, options?: LeaseOptions): Promise<Lease>
  usage(): BlockUsage
  /** The same store behind the interface that Helia and its codecs know; `delete` refuses: only the collector deletes. */
  asBlockstore(): Blockstore
}

export type PinKind = 'recursive' | 'direct'

export interface Pin {
  cid: CID
  name: string
  kind: PinKind
  /** `pinning`: counted, but its references are still being walked; protected all the same. */
  state: 'pinning' | 'pinned' | 'unpinning'
  createdAtMs: number
}

export interface Pins {
  /**
   * Pins a DAG that is wholly held (recursive) or one block (direct); resolves once every reference is counted, durably.
   * The same CID may be pinned under several names; the same CID, name and kind twice is one pin.
   * @throws ERR_PIN_INCOMPLETE with the first missing CID where a block of the DAG is not held
   */
  add(
    cid: CID,
    options: { name?: string; kind: PinKind; signal: AbortSignal; onProgress?: (blocks: number) => void },
  ): Promise<Pin>
  /**
   * Removes the pins of a CID; with `name` or `kind` only those. Resolves once the references are uncounted.
   * @throws ERR_PIN_NOT_FOUND
   */
  remove(cid: CID, options: { name?: string; kind?: PinKind; signal: AbortSignal }): Promise<Pin[]>
  /** By creation, at most 1 000 a page. */
  list(options?: { cid?: CID; name?: string; kind?: PinKind; limit?: number; afterId?: number }): {
    pins: Pin[]
    nextAfterId: number | null
  }
  /** How a block is pinned: by name, through another pin, or not at all. */
  state(cid: CID): 'recursive' | 'direct' | 'indirect' | 'none'
  count(): number
  /** CIDs of blocks that recursive pins hold, roots among them, in the order of their bytes; at most 1 000 after `after`. */
  references(options: { after?: CID; limit: number }): CID[]
}

export interface CollectionResult {
  removedBlocks: number
  removedBytes: number
  keptBlocks: number
}

export interface ScrubResult {
  checkedBlocks: number
  checkedBytes: number
  rottenBlocks: number
  healedBlocks: number
}

export interface Maintenance {
  /** Removes blocks without references in small steps; reads and writes go on. */
  collect(options: {
    signal: AbortSignal
    onProgress?: (removed: number, removedBytes: number) => void
  }): Promise<CollectionResult>
  /**
   * Removes those of the named blocks that nothing refers to, that were not added here and that no lease covers; nothing while the walk of
   * a pin is under way. `leasedBlocks`: those that stay only for a lease.
   */
  evict(
    cids: readonly CID[],
    options: { signal: AbortSignal },
  ): Promise<{ removedBlocks: number; removedBytes: number; leasedBlocks: number; isPaused: boolean }>
  /**
   * Reads every block at `storage.scrubRate`, quarantines what does not match its hash and asks `heal` for good bytes.
   * `after` continues an interrupted scrub; `onProgress` gives the position to continue from.
   */
  scrub(options: {
    signal: AbortSignal
    after?: number
    heal?: (cid: CID, signal: AbortSignal) => Promise<Uint8Array | undefined>
    onProgress?: (position: ScrubResult & { after: number; totalBlocks: number }) => void
  }): Promise<ScrubResult>
}

/** The house's whole storage, opened by `openStorage(options)`. */
export interface Storage {
  readonly blocks: Blocks
  readonly pins: Pins
  readonly maintenance: Maintenance
  readonly marks: Marks
  /** For libp2p and Helia: in state.db, behind a bounded write-behind cache. */
  readonly datastore: Datastore
  /** Writes what is buffered, closes workers and databases. */
  close(): Promise<void>
}
