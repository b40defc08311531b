import { ChunkRefusedError, ChunkStatus } from '../../../protocols/chunk/errors.ts'
import {
  HASH_BYTES,
  isSlabId,
  redundancyProblem,
  sameBytes,
  slabIdOf,
  slabKeyOf,
} from '../../../protocols/chunk/format/index.ts'
import type { SlabId, SlabIndex } from '../../../protocols/chunk/types.ts'
import type { KeyedLock } from '../files/coordination.ts'
import type { DiskReserve } from '../files/disk-reserve.ts'
import { allocatedBytes } from '../files/names.ts'
import type { Turns } from '../files/turns.ts'
import { storageClosed } from '../errors.ts'
import { fileBytesOf, maxFileBytes } from './column-file.ts'
import { ColumnDraft, toRefusal } from './draft.ts'
import type { ColumnFiles, TemporaryFile } from './files.ts'
import { MAX_COLUMN_BYTES, MAX_DRAFTS, ROW_BYTES } from './limits.ts'
import type { ColumnReads } from './reads.ts'
import type { Room } from './room.ts'
import { type ColumnRows, isSameColumn } from './rows.ts'
import type { Tombstones } from './tombstones.ts'
import type { AlreadyHeld, ColumnRow, Draft, DraftOptions } from './types.ts'

export interface IntakeParts {
  rows: ColumnRows
  tombstones: Tombstones
  room: Room
  files: ColumnFiles
  reads: ColumnReads
  disk: DiskReserve
  locks: KeyedLock
  turns: Turns
  now: () => number
  /** Resolves once the transaction is as durable as the store promises. */
  write<T>(work: () => T): Promise<T>
}

/** The way in: what is taken at all, drafts, and the end of a store. */
export class Intake {
  readonly #parts: IntakeParts
  /** By slab; 'opening' while the file is being made. */
  readonly #drafts = new Map<string, ColumnDraft | 'opening'>()
  /** What drafts have reserved and not written yet: the disk will have to take it. */
  #comingBytes = 0
  #isClosed = false

  constructor(parts: IntakeParts) {
    this.#parts = parts
  }

  get drafts(): number {
    return this.#drafts.size
  }

  async begin(options: DraftOptions): Promise<Draft | AlreadyHeld> {
    assertSound(options)
    const { slab } = options
    const { rows, reads, locks } = this.#parts
    // A row is seen before it is flushed. Whoever is told that the column is held gets a receipt: so its store has to end first.
    if (rows.held(slab) !== undefined) await locks.run(slabKeyOf(slab), async () => {})
    const row = rows.held(slab)?.row
    // A row whose file has gone is not held: looking finds that out, and the column may come again.
    if (row !== undefined && (await reads.isThere(slab))) {
      if (!isSameColumn(row, options)) throw new ChunkRefusedError(ChunkStatus.conflict)
      return { alreadyHeld: rows.held(slab)?.row ?? row }
    }
    // No turn of the event loop from these questions to the reservation.
    this.#assertTakesNew(slab)
    return this.#open(options)
  }

  isComing(slab: SlabId): boolean {
    return this.#drafts.has(slabKeyOf(slab))
  }

  /** Ends the draft of a slab that was deleted meanwhile. */
  async refuse(slab: SlabId): Promise<void> {
    const draft = this.#drafts.get(slabKeyOf(slab))
    if (draft instanceof ColumnDraft) await draft.refuse(new ChunkRefusedError(ChunkStatus.tombstoned))
  }

  /** Takes nothing more, and ends all drafts. */
  async close(): Promise<void> {
    this.#isClosed = true
    const drafts = [...this.#drafts.values()].filter((draft) => draft instanceof ColumnDraft)
    await Promise.all(drafts.map((draft) => draft.abort()))
  }

  #assertTakesNew(slab: SlabId): void {
    const { rows, tombstones } = this.#parts
    if (this.#isClosed) throw storageClosed()
    if (tombstones.has(slab)) throw new ChunkRefusedError(ChunkStatus.tombstoned)
    if (this.#drafts.has(slabKeyOf(slab)) || rows.held(slab) !== undefined) {
      throw new ChunkRefusedError(ChunkStatus.conflict)
    }
    if (this.#drafts.size >= MAX_DRAFTS) throw new ChunkRefusedError(ChunkStatus.busy)
  }

  async #open(options: DraftOptions): Promise<Draft> {
    const { room, disk, files, turns } = this.#parts
    const key = slabKeyOf(options.slab)
    const fileBytes = maxFileBytes(options.maxColumnBytes, options.n)
    const giveBack = room.reserve(allocatedBytes(fileBytes) + ROW_BYTES, options.purse)
    this.#drafts.set(key, 'opening')
    let comingBytes = fileBytes
    this.#comingBytes += comingBytes
    const wrote = (bytes: number): void => {
      comingBytes -= bytes
      this.#comingBytes -= bytes
    }
    let temporary: TemporaryFile | undefined
    const ended = async (): Promise<void> => {
      this.#drafts.delete(key)
      giveBack()
      wrote(comingBytes)
      if (temporary !== undefined) await files.removeTemporary(temporary.path)
    }
    try {
      await disk.assertRoom(this.#comingBytes)
      temporary = await files.create()
    } catch (error) {
      await ended()
      throw toRefusal(error)
    }
    const { path } = temporary
    const draft = new ColumnDraft({
      options,
      temporary,
      sync: files.sync,
      disk,
      turns,
      wrote,
      place: (index, indexBytes) => this.#place(path, options, index, indexBytes),
      ended,
    })
    this.#drafts.set(key, draft)
    if (this.#isClosed) await draft.abort()
    return draft
  }

  /** The end of a store: name, then row. Where it fails, neither stays. */
  #place(tmpPath: string, options: DraftOptions, index: SlabIndex, indexBytes: number): Promise<ColumnRow> {
    const { slab, lease } = options
    const { files, rows, reads, locks, write } = this.#parts
    return locks.run(slabKeyOf(slab), async () => {
      if (this.#isClosed) throw storageClosed()
      this.#assertTakesIndex(index)
      try {
        await files.place(tmpPath, slab)
        const row = await write(() =>
          rows.put({
            row: this.#rowOf(options, index),
            indexBytes,
            chargedBytes: allocatedBytes(fileBytesOf(index.columnBytes, indexBytes)) + ROW_BYTES,
            lease,
          }),
        )
        reads.remember(index)
        return row
      } catch (error) {
        // A row that is there but could not be flushed keeps its file: both are whole.
        if (rows.held(slab) === undefined) await files.remove(slab).catch(() => {})
        throw error
      }
    })
  }

  /** @throws ChunkRefusedError: `tombstoned`; `conflict` where another index was accepted, if only of a column that rotted */
  #assertTakesIndex(index: SlabIndex): void {
    const { rows, tombstones } = this.#parts
    if (tombstones.has(index.slab)) throw new ChunkRefusedError(ChunkStatus.tombstoned)
    const before = rows.find(index.slab)
    if (before === undefined) return
    if (!before.rotten || !sameBytes(before.row.indexHash, index.hash)) {
      throw new ChunkRefusedError(ChunkStatus.conflict)
    }
  }

  #rowOf(options: DraftOptions, index: SlabIndex): ColumnRow {
    return {
      slab: index.slab,
      column: options.column,
      group: index.group,
      k: index.k,
      n: index.n,
      indexHash: index.hash,
      columnBytes: index.columnBytes,
      untilMs: options.untilMs,
      leaseSequence: options.leaseSequence,
      purse: options.purse,
      storedAtMs: this.#parts.now(),
    }
  }
}

/** What only a caller that did not check would bring. */
function assertSound(options: DraftOptions): void {
  const { slab, publicKey, group, column, k, n, maxColumnBytes } = options
  const isSound =
    isSlabId(slab) &&
    isSlabId(group) &&
    publicKey.byteLength === HASH_BYTES &&
    sameBytes(slabIdOf(publicKey), slab) &&
    redundancyProblem(k, n) === undefined &&
    Number.isInteger(column) &&
    column >= 0 &&
    column < n &&
    Number.isInteger(maxColumnBytes) &&
    maxColumnBytes >= 1 &&
    maxColumnBytes <= MAX_COLUMN_BYTES
  if (!isSound) throw new ChunkRefusedError(ChunkStatus.invalid)
}
