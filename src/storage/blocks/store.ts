import type { Blockstore } from 'interface-blockstore'
import { LRUCache } from 'lru-cache'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../telemetry/types.ts'
import {
  assertGoingOn,
  blockInvalid,
  blockTooLarge,
  fromSystemError,
  isStorageError,
  storageClosed,
} from '../errors.ts'
import type { BlockUsage, GetOptions, Lease, LeaseOptions, PutOptions } from '../types.ts'
import { blockstoreAdapter } from './blockstore-adapter.ts'
import { Admission, KeyedLock, untilAborted } from './coordination.ts'
import { GroupCommitter } from './committer.ts'
import type { FileSystem } from './file-system.ts'
import { BlockFiles } from './files.ts'
import { ITEM_DATA, ITEM_FILE, ITEM_TOUCH, OUTCOME_DONE } from './group.ts'
import { assertHashSupported, IDENTITY_CODE, keyOf, matches, rawCid } from './hashes.ts'
import { type IndexRow, IndexReader } from './index-reader.ts'
import type { BlockCheck, BlockStore } from './internal.ts'
import { type BlocksLayout, DATA_LIMIT_BYTES, MAX_BLOCK_BYTES } from './layout.ts'
import { Leases } from './leases.ts'
import { Quota } from './quota.ts'
import { type Durability, PLACE_DATA, PLACE_FILE, PLACE_MISSING } from './schema.ts'
import { Sweep } from './sweep.ts'
import type { Writer } from './writer.ts'

/**
 * Puts under way: at 300 MiB/s and some 50 ms a put, half of the bytes would do. Small blocks are bounded by the count,
 * eight groups of a commit. More puts than may wait are refused: their callers ignore the promise.
 */
const PUT_LIMITS = { count: 4_096, bytes: 32 * 1024 * 1024, waiting: 65_536 }

/** File operations of puts at a time: enough to share a flush, few enough that a read soon gets a thread. */
const FILE_WRITE_LIMITS = { count: 16, bytes: Number.POSITIVE_INFINITY, waiting: PUT_LIMITS.count }

/** Reads of files at a time; bounds open files and the memory of blocks that are being verified. */
const FILE_READ_LIMITS = { count: 32, bytes: Number.POSITIVE_INFINITY, waiting: 65_536 }

/** Files removed at a time after a collection: one of libuv's four threads, on average, so that puts and reads go on. */
const REMOVALS_AT_A_TIME = 2

/** What an entry of the memory tier costs beside its bytes: key, list nodes, the array's own head. */
const MEMORY_ENTRY_BYTES = 256

const NOTHING = new Uint8Array(0)

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

interface PendingPut {
  bytes: Uint8Array
  done: Promise<void>
  /** Callers that still wait; while none does and nothing was begun, the put is given up. */
  callers: number
  abandon: AbortController
}

/** The three tiers of blocks; see docs/storage-format.md for the order of a put and what must hold at any moment. */
export class TieredBlockStore implements BlockStore {
  readonly #options: BlockStoreOptions
  readonly #log: Logger
  readonly #writer: Writer
  readonly #index: IndexReader
  readonly #files: BlockFiles
  readonly #memory: LRUCache<string, Uint8Array> | undefined
  readonly #committer: GroupCommitter
  readonly #quota: Quota
  readonly #leases: Leases
  readonly #sweep: Sweep
  readonly #locks = new KeyedLock()
  readonly #admission = new Admission(PUT_LIMITS)
  readonly #fileWrites = new Admission(FILE_WRITE_LIMITS)
  readonly #fileReads = new Admission(FILE_READ_LIMITS)
  readonly #pending = new Map<string, PendingPut>()
  readonly #touches = new Set<Promise<unknown>>()
  #filesLeftBehind = false
  #closed: Promise<void> | undefined

  /** Use `openBlockStore`. */
  constructor(options: BlockStoreOptions, writer: Writer, index: IndexReader, files: BlockFiles) {
    this.#options = options
    this.#log = options.log
    this.#writer = writer
    this.#index = index
    this.#files = files
    this.#memory =
      options.memoryBytes === 0
        ? undefined
        : new LRUCache({
            maxSize: options.memoryBytes,
            sizeCalculation: (bytes) => bytes.byteLength + MEMORY_ENTRY_BYTES,
          })
    this.#committer = new GroupCommitter(writer)
    this.#quota = new Quota(options.quotaBytes, {
      get figures() {
        return writer.figures
      },
      get quarantineBytes() {
        return files.quarantineBytes
      },
    })
    this.#leases = new Leases(writer, index)
    this.#sweep = new Sweep({
      layout: options.layout,
      fs: options.fs,
      log: options.log,
      remove: (mh) => this.#removeOrphan(mh),
    })
    if (writer.figures.unclean) this.#sweep.start()
  }

  get reader(): IndexReader['db'] {
    return this.#index.db
  }

  async get(cid: CID, options: GetOptions = {}): Promise<Uint8Array | undefined> {
    this.#assertOpen()
    assertGoingOn(options.signal)
    const { multihash } = cid
    if (multihash.code === IDENTITY_CODE) return multihash.digest
    const key = keyOf(multihash.bytes)
    const near = this.#memory?.get(key) ?? this.#pending.get(key)?.bytes
    if (near !== undefined) return near
    const row = this.#index.findHeld(multihash.bytes)
    if (row === undefined) return undefined
    const bytes = await this.#readVerified(cid, row, options.signal)
    if (bytes !== undefined) this.#memory?.set(key, bytes)
    return bytes
  }

  async has(cid: CID): Promise<boolean> {
    this.#assertOpen()
    return this.#has(cid)
  }

  async hasMany(cids: CID[]): Promise<boolean[]> {
    this.#assertOpen()
    const held: boolean[] = []
    for (const cid of cids) {
      // Some 3 ms of look-ups at a time.
      if (held.length > 0 && held.length % 512 === 0) {
        await new Promise((resolve) => setImmediate(resolve))
        this.#assertOpen()
      }
      held.push(this.#has(cid))
    }
    return held
  }

  async size(cid: CID): Promise<number | undefined> {
    this.#assertOpen()
    if (cid.multihash.code === IDENTITY_CODE) return cid.multihash.digest.byteLength
    const pending = this.#pending.get(keyOf(cid.multihash.bytes))
    return pending?.bytes.byteLength ?? this.#index.findHeld(cid.multihash.bytes)?.size
  }

  async put(cid: CID, bytes: Uint8Array, options: PutOptions = {}): Promise<void> {
    this.#assertOpen()
    assertGoingOn(options.signal)
    if (bytes.byteLength > MAX_BLOCK_BYTES) throw blockTooLarge(bytes.byteLength, MAX_BLOCK_BYTES)
    const { multihash } = cid
    if (options.verified === true) assertHashSupported(multihash)
    else if (!matches(multihash, bytes)) throw blockInvalid(cid.toString())
    if (multihash.code === IDENTITY_CODE) return

    const mh = multihash.bytes
    const key = keyOf(mh)
    if (!this.#pending.has(key)) {
      const row = this.#index.findHeld(mh)
      if (row !== undefined && (await this.#stillHeld(mh, row, options.signal))) return
    }
    await this.#join(key, mh, bytes, options.signal)
  }

  async lease(id: string, options: LeaseOptions = {}): Promise<Lease> {
    this.#assertOpen()
    return this.#leases.open(id, options.endsWithProcess !== true)
  }

  usage(): BlockUsage {
    const { blocks, blockBytes, quarantined } = this.#writer.figures
    const { quotaBytes } = this.#quota
    return { usedBytes: this.#quota.usedBytes(), quotaBytes, blocks, blockBytes, quarantined }
  }

  asBlockstore(): Blockstore {
    return blockstoreAdapter(this, (after, limit) => {
      this.#assertOpen()
      return this.#index.page(after, limit)
    })
  }

  async discard(mhs: Uint8Array[]): Promise<void> {
    for (const mh of mhs) this.#memory?.delete(keyOf(mh))
    for (let start = 0; start < mhs.length; start += REMOVALS_AT_A_TIME) {
      await Promise.all(mhs.slice(start, start + REMOVALS_AT_A_TIME).map((mh) => this.#discardFile(mh)))
    }
  }

  async check(mh: Uint8Array, signal: AbortSignal): Promise<BlockCheck> {
    this.#assertOpen()
    const row = this.#index.findHeld(mh)
    if (row === undefined) return { state: 'absent', sizeBytes: 0 }
    const bytes = await this.#readVerified(rawCid(mh), row, signal)
    if (bytes !== undefined) return { state: 'good', sizeBytes: row.size }
    this.#assertOpen()
    const after = this.#index.find(mh)
    if (after?.place === PLACE_MISSING) return { state: 'rotten', sizeBytes: row.size }
    return { state: 'absent', sizeBytes: 0 }
  }

  /** Resolves once the files of an unclean run are swept; rejects where that failed. */
  get swept(): Promise<void> {
    return this.#sweep.done
  }

  /** Refuses new work, ends what is under way, closes the connection for reading and the writer. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    await this.#sweep.stop()
    while (this.#pending.size > 0 || this.#touches.size > 0) {
      await Promise.allSettled([...[...this.#pending.values()].map(({ done }) => done), ...this.#touches])
    }
    this.#index.close()
    this.#memory?.clear()
    await this.#writer.close({ clean: this.#sweep.complete && !this.#filesLeftBehind })
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw storageClosed()
  }

  #has(cid: CID): boolean {
    const { multihash } = cid
    if (multihash.code === IDENTITY_CODE) return true
    return this.#pending.has(keyOf(multihash.bytes)) || this.#index.findHeld(multihash.bytes) !== undefined
  }

  /** For a put of a block whose row is there: renews its mark where an open lease needs that. False where it came too late. */
  async #stillHeld(mh: Uint8Array, row: IndexRow, signal: AbortSignal | undefined): Promise<boolean> {
    if (row.touched >= this.#leases.newestSince) return true
    const leave = await this.#admission.enter(mh.byteLength, signal)
    const touch = this.#committer.add({ kind: ITEM_TOUCH, mh, sizeBytes: 0, data: NOTHING }).finally(() => {
      this.#touches.delete(touch)
      leave()
    })
    this.#touches.add(touch)
    return (await untilAborted(touch, signal)) === OUTCOME_DONE
  }

  /** Waits for the put of this block that is under way, or begins one. */
  async #join(
    key: string,
    mh: Uint8Array,
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    this.#assertOpen()
    let pending = this.#pending.get(key)
    if (pending === undefined) {
      const abandon = new AbortController()
      pending = { bytes, abandon, callers: 0, done: this.#store(key, mh, bytes, abandon.signal) }
      this.#pending.set(key, pending)
      const end = (): void => {
        this.#pending.delete(key)
      }
      pending.done.then(end, end)
    }
    pending.callers++
    try {
      await untilAborted(pending.done, signal)
    } catch (error) {
      // The callers before this one gave the put up just as this one joined.
      const givenUp = isStorageError(error, 'ERR_CANCELLED') && signal?.aborted !== true
      if (!givenUp) throw error
      await this.#join(key, mh, bytes, signal)
    } finally {
      pending.callers--
      if (pending.callers === 0) pending.abandon.abort()
    }
  }

  async #store(key: string, mh: Uint8Array, bytes: Uint8Array, abandon: AbortSignal): Promise<void> {
    const leave = await this.#admission.enter(bytes.byteLength, abandon)
    let giveBack: (() => void) | undefined
    try {
      giveBack = this.#quota.reserve(bytes.byteLength)
      if (bytes.byteLength > DATA_LIMIT_BYTES) await this.#locks.run(key, () => this.#storeFile(mh, bytes))
      else {
        await this.#committer.add({ kind: ITEM_DATA, mh, sizeBytes: bytes.byteLength, data: bytes })
      }
      this.#remember(key, bytes)
    } catch (error) {
      throw fromSystemError(error)
    } finally {
      giveBack?.()
      leave()
    }
  }

  async #storeFile(mh: Uint8Array, bytes: Uint8Array): Promise<void> {
    try {
      const leave = await this.#fileWrites.enter(bytes.byteLength)
      try {
        await this.#files.write(mh, bytes)
      } finally {
        leave()
      }
      await this.#committer.add({ kind: ITEM_FILE, mh, sizeBytes: bytes.byteLength, data: NOTHING })
    } catch (error) {
      await this.#removeUnlessHeld(mh).catch(() => {
        this.#filesLeftBehind = true
      })
      throw error
    }
  }

  /** Keeps the bytes in memory, in a buffer of their own: a view would hold the whole buffer behind it. */
  #remember(key: string, bytes: Uint8Array): void {
    if (this.#memory === undefined) return
    this.#memory.set(key, bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice())
  }

  async #readVerified(
    cid: CID,
    row: IndexRow,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.#readRow(cid.multihash.bytes, row, signal)
      if (bytes?.byteLength === row.size && matches(cid.multihash, bytes)) return bytes
      return await this.#rotten(cid, row, bytes)
    } catch (error) {
      throw fromSystemError(error)
    }
  }

  async #readRow(
    mh: Uint8Array,
    row: IndexRow,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    if (row.place === PLACE_DATA) return this.#index.data(row)
    const leave = await this.#fileReads.enter(row.size, signal)
    try {
      return await this.#files.read(mh, row.size)
    } finally {
      leave()
    }
  }

  /** Takes a block out that did not read back, unless it was removed or put again meanwhile; always undefined. */
  async #rotten(cid: CID, row: IndexRow, bytes: Uint8Array | undefined): Promise<undefined> {
    this.#assertOpen()
    const mh = cid.multihash.bytes
    const key = keyOf(mh)
    const quarantined = await this.#locks.run(key, async () => {
      const { id, place } = row
      if (!(await this.#writer.call<boolean>('blocks.quarantine', { id, place }))) return false
      this.#memory?.delete(key)
      await this.#keepRotten(mh, row, bytes).catch((error: unknown) => {
        this.#filesLeftBehind = true
        this.#log.warn({ err: error }, 'a rotten block could not be moved to quarantine')
      })
      return true
    })
    if (!quarantined) return
    this.#log.warn({ cid: cid.toString() }, 'a block did not match its hash and was quarantined')
    this.#options.onRot?.(cid)
  }

  async #keepRotten(mh: Uint8Array, row: IndexRow, bytes: Uint8Array | undefined): Promise<void> {
    if (row.place === PLACE_FILE) await this.#files.quarantineFile(mh, row.size)
    else if (bytes !== undefined) await this.#files.quarantineBytesOf(mh, bytes)
  }

  async #discardFile(mh: Uint8Array): Promise<void> {
    try {
      await this.#removeOrphan(mh)
    } catch (error) {
      this.#filesLeftBehind = true
      this.#log.warn({ err: error }, 'a removed block left its file behind; it is swept after the next start')
    }
  }

  /** Removes the file of a block without a row, unless it is being put right now. */
  async #removeOrphan(mh: Uint8Array): Promise<boolean> {
    const key = keyOf(mh)
    if (this.#pending.has(key)) return false
    return this.#locks.run(key, () => this.#removeUnlessHeld(mh))
  }

  async #removeUnlessHeld(mh: Uint8Array): Promise<boolean> {
    if (this.#index.find(mh)?.place === PLACE_FILE) return false
    await this.#files.remove(mh)
    return true
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
