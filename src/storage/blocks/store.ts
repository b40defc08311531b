import type { Blockstore } from 'interface-blockstore'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../telemetry/types.ts'
import { assertGoingOn, blockInvalid, blockTooLarge, isStorageError, storageClosed } from '../errors.ts'
import type { BlockUsage, GetOptions, Lease, LeaseOptions, PutOptions } from '../types.ts'
import { blockstoreAdapter } from './blockstore-adapter.ts'
import { GroupCommitter } from './committer.ts'
import { KeyedLock } from '../files/coordination.ts'
import type { FileSystem } from '../files/file-system.ts'
import { BlockFiles } from './files.ts'
import { assertHashSupported, IDENTITY_CODE, keyOf, matches, rawCid } from './hashes.ts'
import { IndexReader } from './index-reader.ts'
import type { BlockCheck, BlockStore, RemovedBlock } from './internal.ts'
import { type BlocksLayout, MAX_BLOCK_BYTES } from './layout.ts'
import { Leases } from './leases.ts'
import { PrivateMarks } from './marks.ts'
import { MemoryTier } from './memory.ts'
import { Puts } from './puts.ts'
import { DiskReserve } from '../files/disk-reserve.ts'
import { Quota } from './quota.ts'
import { Reads } from './reads.ts'
import { discard, removeOrphan } from './removals.ts'
import { type Durability, PLACE_MISSING } from './schema.ts'
import { Sweep } from './sweep.ts'
import type { Tiers } from './tiers.ts'
import { Turns } from '../files/turns.ts'
import type { Writer } from './writer.ts'

/** Rows that `hasMany` asks for without looking at the time: some 1 ms. */
const HAS_STEP = 128

export interface BlockStoreOptions {
  layout: BlocksLayout
  durability: Durability
  quotaBytes: number
  /** Bytes of the memory tier; 0 does without. */
  memoryBytes: number
  fs: FileSystem
  log: Logger
  /** Called for each block that was found rotten, after it was quarantined. */
  onRot?: (cid: CID) => void
}

/** The three tiers of blocks; see docs/storage-format.md for the order of a put and what must hold at any moment. */
export class TieredBlockStore implements BlockStore {
  readonly #tiers: Tiers
  readonly #quota: Quota
  readonly #leases: Leases
  readonly #watchers = new Set<(cid: CID) => void>()
  readonly #puts: Puts
  readonly #reads: Reads
  readonly #sweep: Sweep
  readonly #turns = new Turns()
  /** Which blocks are private; held ones or not. */
  readonly marks: PrivateMarks
  #closed: Promise<void> | undefined

  /** Use `openBlockStore`. */
  constructor(options: BlockStoreOptions, writer: Writer, index: IndexReader, files: BlockFiles) {
    const { layout, fs, log } = options
    this.#tiers = {
      memory: new MemoryTier(options.memoryBytes),
      index,
      files,
      writer,
      locks: new KeyedLock(),
      log,
      assertOpen: () => this.#assertOpen(),
    }
    this.#quota = new Quota(options.quotaBytes, writer, files)
    this.#leases = new Leases(writer, index)
    const committer = new GroupCommitter(writer)
    this.#reads = new Reads(this.#tiers, options.onRot)
    const disk = new DiskReserve(layout.rootPath)
    this.#puts = new Puts(this.#tiers, this.#quota, disk, this.#leases, committer, this.#reads)
    this.marks = new PrivateMarks(writer, index, committer)
    this.#sweep = new Sweep({ layout, fs, log, remove: (mh) => removeOrphan(this.#tiers, mh) })
    if (writer.figures.unclean) this.#sweep.start()
  }

  /** The bound that this store shares with what lives beside it. */
  get quota(): Quota {
    return this.#quota
  }

  get reader(): IndexReader['db'] {
    return this.#tiers.index.db
  }

  async get(cid: CID, options: GetOptions = {}): Promise<Uint8Array | undefined> {
    const turn = this.#turn(options.signal)
    if (turn !== undefined) await turn
    const { multihash } = cid
    if (multihash.code === IDENTITY_CODE) return multihash.digest
    const { memory, index } = this.#tiers
    const key = keyOf(multihash.bytes)
    const near = memory.get(key) ?? this.#puts.pending(key)
    if (near !== undefined) return near
    const row = index.findHeld(multihash.bytes)
    if (row === undefined) return undefined
    const bytes = await this.#reads.read(cid, row, options.signal)
    // A collection may have taken it meanwhile: held in memory alone it would be there for some and not for others.
    const isHeld = bytes !== undefined && index.findHeld(multihash.bytes) !== undefined
    if (isHeld && options.remember !== false) memory.set(key, bytes)
    return bytes
  }

  async has(cid: CID): Promise<boolean> {
    const turn = this.#turn()
    if (turn !== undefined) await turn
    return this.#has(cid)
  }

  async hasMany(cids: CID[]): Promise<boolean[]> {
    const held: boolean[] = []
    for (let start = 0; start < cids.length; start += HAS_STEP) {
      const turn = this.#turn()
      if (turn !== undefined) await turn
      for (const cid of cids.slice(start, start + HAS_STEP)) held.push(this.#has(cid))
    }
    return held
  }

  async size(cid: CID): Promise<number | undefined> {
    const turn = this.#turn()
    if (turn !== undefined) await turn
    const { multihash } = cid
    if (multihash.code === IDENTITY_CODE) return multihash.digest.byteLength
    const pending = this.#puts.pending(keyOf(multihash.bytes))
    return pending?.byteLength ?? this.#tiers.index.findHeld(multihash.bytes)?.size
  }

  async put(cid: CID, bytes: Uint8Array, options: PutOptions = {}): Promise<void> {
    const turn = this.#turn(options.signal)
    if (turn !== undefined) await turn
    if (bytes.byteLength > MAX_BLOCK_BYTES) throw blockTooLarge(bytes.byteLength, MAX_BLOCK_BYTES)
    const { multihash } = cid
    if (options.verified === true) assertHashSupported(multihash)
    else if (!matches(multihash, bytes)) throw blockInvalid(cid.toString())
    if (multihash.code === IDENTITY_CODE) return
    const { signal, isAdded = false } = options
    await this.#puts.put(multihash.bytes, bytes, { signal, isAdded })
    for (const onPut of this.#watchers) onPut(cid)
  }

  watch(onPut: (cid: CID) => void): () => void {
    this.#watchers.add(onPut)
    return () => this.#watchers.delete(onPut)
  }

  async lease(id: string, options: LeaseOptions = {}): Promise<Lease> {
    this.#assertOpen()
    const { endsWithProcess = false, keepsAll = false } = options
    return this.#leases.open(id, { durable: !endsWithProcess, keepsAll })
  }

  usage(): BlockUsage {
    const { blocks, blockBytes, quarantined } = this.#tiers.writer.figures
    const { quotaBytes } = this.#quota
    return { usedBytes: this.#quota.usedBytes(), quotaBytes, blocks, blockBytes, quarantined }
  }

  asBlockstore(): Blockstore {
    return blockstoreAdapter(this, (after, limit) => {
      this.#assertOpen()
      return this.#tiers.index.page(after, limit)
    })
  }

  discard(removed: readonly RemovedBlock[]): Promise<void> {
    return discard(this.#tiers, removed)
  }

  async check(mh: Uint8Array, signal: AbortSignal): Promise<BlockCheck> {
    this.#assertOpen()
    const { index } = this.#tiers
    const row = index.findHeld(mh)
    if (row === undefined) return { state: 'absent', sizeBytes: 0 }
    const bytes = await this.#reads.read(rawCid(mh), row, signal)
    if (bytes !== undefined) return { state: 'good', sizeBytes: row.size }
    this.#assertOpen()
    if (index.find(mh)?.place === PLACE_MISSING) return { state: 'rotten', sizeBytes: row.size }
    return { state: 'absent', sizeBytes: 0 }
  }

  /** Resolves once the files that an unclean run may have left are swept, or the sweep has been given up. */
  get swept(): Promise<void> {
    return this.#sweep.done
  }

  /** Refuses new work, ends what is under way, closes the connection for reading and the writer. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const { index, memory, files, writer } = this.#tiers
    await this.#sweep.stop()
    await this.#puts.settled()
    await this.marks.settled()
    index.close()
    memory.clear()
    await writer.close({ clean: this.#sweep.complete && !files.leftBehind })
  }

  /** Comes before whatever an operation does on the event loop; nothing has to be awaited while there is time. */
  #turn(signal?: AbortSignal): Promise<void> | undefined {
    this.#assertOpen()
    assertGoingOn(signal)
    return this.#turns.take()?.then(() => {
      this.#assertOpen()
      assertGoingOn(signal)
    })
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw storageClosed()
  }

  #has({ multihash }: CID): boolean {
    if (multihash.code === IDENTITY_CODE) return true
    if (this.#puts.pending(keyOf(multihash.bytes)) !== undefined) return true
    return this.#tiers.index.findHeld(multihash.bytes) !== undefined
  }
}

/** Opens the store below a home folder: the writer must have opened the database already. */
export async function openBlockStore(options: BlockStoreOptions, writer: Writer): Promise<TieredBlockStore> {
  const files = new BlockFiles(options.fs, options.layout, options.durability)
  await files.open()
  try {
    await writer.call('blocks.lease.endRun', {})
  } catch (error) {
    // A full disk must not keep the node from starting: an old lease only keeps garbage a while longer.
    if (!isStorageError(error, 'ERR_DISK_FULL')) throw error
    options.log.warn({ err: error }, 'the disk is full')
  }
  return new TieredBlockStore(options, writer, new IndexReader(options.layout.databasePath), files)
}
