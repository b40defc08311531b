import { fromSystemError, isStorageError } from '../errors.ts'
import type { GroupCommitter } from './committer.ts'
import { Admission, untilAborted } from '../files/coordination.ts'
import { ITEM_DATA, ITEM_FILE, ITEM_TOUCH, OUTCOME_DONE } from './group.ts'
import { keyOf, rawCid } from './hashes.ts'
import type { IndexRow } from './index-reader.ts'
import { DATA_LIMIT_BYTES } from './layout.ts'
import type { Leases } from './leases.ts'
import type { Reads } from './reads.ts'
import { PLACE_FILE } from './schema.ts'
import type { DiskReserve } from '../files/disk-reserve.ts'
import type { Quota } from './quota.ts'
import { removeUnlessHeld } from './removals.ts'
import type { Tiers } from './tiers.ts'

/**
 * Puts under way: at 300 MiB/s and some 50 ms a put, half of the bytes would do. Small blocks are bounded by the count,
 * sixteen groups of a commit. More puts than may wait are refused: their callers ignore the promise.
 */
const PUT_LIMITS = { count: 4_096, bytes: 32 * 1024 * 1024, waiting: 65_536 }

/** Files written at a time: enough to share a flush, few enough that a read soon gets a thread. */
const FILE_LIMITS = { count: 16, bytes: Number.POSITIVE_INFINITY, waiting: PUT_LIMITS.count }

const NOTHING = new Uint8Array(0)

interface Marking {
  signal: AbortSignal | undefined
  isAdded: boolean
}

interface PendingPut {
  bytes: Uint8Array
  done: Promise<void>
  isAdded: boolean
  /** Callers that still wait; once none does, and while the put waits for its turn, it is given up. */
  callers: number
  abandon: AbortController
}

/** The way in: admission, quota, file, row. Two puts of one block at the same time are one. */
export class Puts {
  readonly #tiers: Tiers
  readonly #quota: Quota
  readonly #disk: DiskReserve
  readonly #leases: Leases
  readonly #committer: GroupCommitter
  readonly #admission = new Admission(PUT_LIMITS)
  readonly #fileWrites = new Admission(FILE_LIMITS)
  readonly #pending = new Map<string, PendingPut>()
  readonly #touches = new Set<Promise<unknown>>()
  readonly #reads: Reads

  constructor(
    tiers: Tiers,
    quota: Quota,
    disk: DiskReserve,
    leases: Leases,
    committer: GroupCommitter,
    reads: Reads,
  ) {
    this.#tiers = tiers
    this.#reads = reads
    this.#quota = quota
    this.#disk = disk
    this.#leases = leases
    this.#committer = committer
  }

  /** The bytes of a block that is being put. */
  pending(key: string): Uint8Array | undefined {
    return this.#pending.get(key)?.bytes
  }

  /** Resolves once the block is held as durably as the store promises; the bytes match the multihash. */
  async put(mh: Uint8Array, bytes: Uint8Array, options: Marking): Promise<void> {
    const { isAdded } = options
    const key = keyOf(mh)
    if (!this.#pending.has(key)) {
      const row = this.#tiers.index.findHeld(mh)
      const isHeld = row !== undefined && (await this.#isComplete(mh, row, options.signal))
      if (isHeld && (await this.#stillHeld(mh, row, options))) return
    }
    const joined = await this.#join(key, mh, bytes, options)
    // The put that it joined may have been that of a fetch.
    if (isAdded && !joined.isAdded && !(await this.#touch(mh, options))) await this.put(mh, bytes, options)
  }

  /** Resolves when no put is under way. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0 || this.#touches.size > 0) {
      const puts = this.#pending.values().map(({ done }) => done)
      await Promise.allSettled([...puts, ...this.#touches])
    }
  }

  /**
   * Whether what the row promises is there: whoever puts the block has good bytes, and letting them go for a file that is missing or
   * short would lose them. What is wrong with such a file is found by reading it, which takes it out.
   */
  async #isComplete(mh: Uint8Array, row: IndexRow, signal: AbortSignal | undefined): Promise<boolean> {
    if (row.place !== PLACE_FILE) return true
    if (await this.#tiers.files.isComplete(mh, row.size)) return true
    return (await this.#reads.read(rawCid(mh), row, signal)) !== undefined
  }

  /**
   * For a put of a block whose row is there: renews its mark where an open lease needs that, and notes that it was added here. False
   * where it came too late, and the row is gone.
   */
  async #stillHeld(mh: Uint8Array, row: IndexRow, options: Marking): Promise<boolean> {
    const isKnown = !options.isAdded || row.added === 1
    if (isKnown && row.touched >= this.#leases.newestSince) return true
    return this.#touch(mh, options)
  }

  async #touch(mh: Uint8Array, { signal, isAdded }: Marking): Promise<boolean> {
    const leave = await this.#admission.enter(mh.byteLength, signal)
    const item = { kind: ITEM_TOUCH, mh, sizeBytes: 0, isAdded, data: NOTHING }
    const touch = this.#committer.add(item).finally(() => {
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
    { signal, isAdded }: Marking,
  ): Promise<Pick<PendingPut, 'isAdded'>> {
    this.#tiers.assertOpen()
    const pending = this.#pending.get(key) ?? this.#begin(key, mh, bytes, isAdded)
    pending.callers++
    try {
      await untilAborted(pending.done, signal)
      return pending
    } catch (error) {
      // The callers before this one gave the put up just as this one joined.
      const givenUp = isStorageError(error, 'ERR_CANCELLED') && signal?.aborted !== true
      if (!givenUp) throw error
      return await this.#join(key, mh, bytes, { signal, isAdded })
    } finally {
      pending.callers--
      // Not for one that has ended: an abort makes an error and an event, and a fetch of a large tree spent a quarter of
      // its puts on that.
      if (pending.callers === 0 && this.#pending.get(key) === pending) pending.abandon.abort()
    }
  }

  #begin(key: string, mh: Uint8Array, bytes: Uint8Array, isAdded: boolean): PendingPut {
    const abandon = new AbortController()
    const done = this.#store(key, mh, bytes, isAdded, abandon.signal)
    const pending = { bytes, isAdded, abandon, callers: 0, done }
    this.#pending.set(key, pending)
    const end = (): void => {
      this.#pending.delete(key)
    }
    done.then(end, end)
    return pending
  }

  async #store(
    key: string,
    mh: Uint8Array,
    bytes: Uint8Array,
    isAdded: boolean,
    abandon: AbortSignal,
  ): Promise<void> {
    const leave = await this.#admission.enter(bytes.byteLength, abandon)
    let giveBack: (() => void) | undefined
    let wrote: (() => void) | undefined
    try {
      giveBack = this.#quota.reserve(bytes.byteLength)
      wrote = await this.#disk.admit(bytes.byteLength)
      if (bytes.byteLength <= DATA_LIMIT_BYTES) {
        await this.#committer.add({ kind: ITEM_DATA, mh, sizeBytes: bytes.byteLength, isAdded, data: bytes })
      } else await this.#tiers.locks.run(key, () => this.#storeFile(mh, bytes, isAdded))
      this.#tiers.memory.set(key, bytes)
    } catch (error) {
      throw fromSystemError(error)
    } finally {
      wrote?.()
      giveBack?.()
      leave()
    }
  }

  async #storeFile(mh: Uint8Array, bytes: Uint8Array, isAdded: boolean): Promise<void> {
    try {
      const leave = await this.#fileWrites.enter(bytes.byteLength)
      try {
        await this.#tiers.files.write(mh, bytes)
      } finally {
        leave()
      }
      const item = { kind: ITEM_FILE, mh, sizeBytes: bytes.byteLength, isAdded, data: NOTHING }
      await this.#committer.add(item)
    } catch (error) {
      // The file system may be what failed: what cannot be removed now is swept after the next start.
      await removeUnlessHeld(this.#tiers, mh).catch(() => {})
      throw error
    }
  }
}
