import { ChunkRefusedError, ChunkStatus } from '../../../protocols/chunk/errors.ts'
import { sameBytes, slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { HeldColumn, Proof, SignedBytes, SlabId } from '../../../protocols/chunk/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import { allocatedBytes } from '../files/names.ts'
import { KeyedLock } from '../files/coordination.ts'
import { DiskReserve } from '../files/disk-reserve.ts'
import type { FileSystem } from '../files/file-system.ts'
import type { QuotaMember } from '../blocks/quota.ts'
import type { Durability } from '../blocks/schema.ts'
import { Turns } from '../files/turns.ts'
import { storageClosed } from '../errors.ts'
import type { StateDatabase } from '../state/index.ts'
import type { ColumnFiles } from './files.ts'
import { Intake } from './intake.ts'
import type { ColumnsLayout } from './layout.ts'
import { ROW_BYTES } from './limits.ts'
import { ColumnReads } from './reads.ts'
import { Room, type SharedQuota } from './room.ts'
import { ColumnRows } from './rows.ts'
import { scrubColumns } from './scrub.ts'
import { sweepColumns } from './sweep.ts'
import { Tombstones } from './tombstones.ts'
import type { AlreadyHeld, ColumnRow, Columns, ColumnsUsage, Draft, DraftOptions } from './types.ts'

export interface ColumnStoreOptions {
  layout: ColumnsLayout
  fs: FileSystem
  files: ColumnFiles
  state: StateDatabase
  durability: Durability
  /** `storage.offer`. */
  offeredBytes: number
  scrubRateBytesPerSecond: number
  quota: SharedQuota & { join(member: QuotaMember): void }
  log: Logger
  now: () => number
  /** The last run did not close the store. */
  unclean: boolean
}

/** See docs/column-format.md for the order of a store and what must hold at any moment. */
export class ColumnStore implements Columns {
  readonly #options: ColumnStoreOptions
  readonly #rows: ColumnRows
  readonly #tombstones: Tombstones
  readonly #room: Room
  readonly #reads: ColumnReads
  readonly #locks = new KeyedLock()
  readonly #turns = new Turns()
  readonly #intake: Intake
  readonly #listeners = new Set<(row: ColumnRow) => void>()
  /** Everything that is under way and needs the database. */
  readonly #work = new Set<Promise<unknown>>()
  readonly #closing = new AbortController()
  #swept: Promise<void> = Promise.resolve()
  #isSwept: boolean
  #closed: Promise<void> | undefined

  /** Use `openColumns`. */
  constructor(options: ColumnStoreOptions) {
    this.#options = options
    const { state, files, layout, log, quota } = options
    this.#rows = new ColumnRows(state.db)
    this.#tombstones = new Tombstones(state.db)
    this.#room = new Room({
      offeredBytes: options.offeredBytes,
      rows: this.#rows,
      quota,
      quarantine: files,
      meteredPaths: [state.path, `${state.path}-wal`, `${state.path}-shm`],
    })
    quota.join(this.#room)
    this.#reads = new ColumnReads({
      rows: this.#rows,
      files,
      locks: this.#locks,
      turns: this.#turns,
      log,
      lose: (slab) => this.#write(() => this.#rows.lose(slab)),
      onRot: (row) => {
        for (const listener of this.#listeners) listener(row)
      },
    })
    this.#intake = new Intake({
      rows: this.#rows,
      tombstones: this.#tombstones,
      room: this.#room,
      files,
      reads: this.#reads,
      disk: new DiskReserve(layout.rootPath),
      locks: this.#locks,
      turns: this.#turns,
      now: options.now,
      write: (work) => this.#write(work),
    })
    this.#isSwept = !options.unclean
    if (options.unclean) this.#swept = this.#sweepAfterCrash()
  }

  /** Resolves once the files that an unclean run may have left are swept, or the sweep has been given up. */
  get swept(): Promise<void> {
    return this.#swept
  }

  begin(options: DraftOptions): Promise<Draft | AlreadyHeld> {
    return this.#track(() => this.#intake.begin(options))
  }

  get(slab: SlabId): ColumnRow | undefined {
    this.#assertOpen()
    return this.#rows.held(slab)?.row
  }

  have(slabs: readonly SlabId[]): HeldColumn[] {
    this.#assertOpen()
    return this.#rows.have(slabs)
  }

  list(options: { after?: SlabId; limit: number }): ColumnRow[] {
    this.#assertOpen()
    return this.#rows.page(options.after, options.limit).map(({ row }) => row)
  }

  ofGroup(group: SlabId): ColumnRow[] {
    this.#assertOpen()
    return this.#rows.ofGroup(group)
  }

  groups(options: { after?: SlabId; limit: number }): SlabId[] {
    this.#assertOpen()
    return this.#rows.groups(options.after, options.limit)
  }

  async index(slab: SlabId): Promise<SignedBytes | undefined> {
    return (await this.#track(() => this.#reads.index(slab)))?.signed
  }

  lease(slab: SlabId): SignedBytes | undefined {
    this.#assertOpen()
    return this.#rows.lease(slab)
  }

  onRot(listener: (row: ColumnRow) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  piece(slab: SlabId, segment: number, options: { signal: AbortSignal }): Promise<Uint8Array | undefined> {
    return this.#track(() => this.#reads.piece(slab, segment, options.signal))
  }

  prove(slab: SlabId, segment: number, leaf: number): Promise<Proof | undefined> {
    return this.#track(() => this.#reads.prove(slab, segment, leaf))
  }

  renew(slab: SlabId, lease: { signed: SignedBytes; untilMs: number; sequence: number }): Promise<void> {
    return this.#track(() =>
      this.#write(() => {
        const row = this.#rows.held(slab)?.row
        if (row === undefined) throw new ChunkRefusedError(ChunkStatus.notHeld)
        const known = this.#rows.lease(slab)
        // Told twice: the answer to the first was lost.
        if (known !== undefined && sameBytes(known.payload, lease.signed.payload)) return
        if (lease.sequence <= row.leaseSequence) throw new ChunkRefusedError(ChunkStatus.conflict)
        this.#rows.renew(slab, lease)
      }),
    )
  }

  remove(slab: SlabId, isStillSo: (row: ColumnRow) => boolean = () => true): Promise<boolean> {
    return this.#track(() =>
      this.#locks.run(slabKeyOf(slab), async () => {
        const wasRemoved = await this.#write(() => {
          const row = this.#rows.find(slab)?.row
          return row !== undefined && isStillSo(row) && this.#rows.remove(slab)
        })
        if (!wasRemoved) return false
        await this.#removeFile(slab)
        return true
      }),
    )
  }

  async bury(deletion: {
    slab: SlabId
    signed: SignedBytes
    keepUntilMs: number
    isOwn?: boolean
  }): Promise<void> {
    const { slab, isOwn = false } = deletion
    await this.#track(() =>
      this.#locks.run(slabKeyOf(slab), async () => {
        if (!isOwn && this.#rows.find(slab) === undefined) this.#tombstones.assertRoom(slab)
        const wasHeld = await this.#write(() => {
          this.#tombstones.put(deletion)
          return this.#rows.remove(slab)
        })
        if (wasHeld) await this.#removeFile(slab)
      }),
    )
    await this.#intake.refuse(slab)
  }

  isComing(slab: SlabId): boolean {
    return this.#intake.isComing(slab)
  }

  isBuried(slab: SlabId): boolean {
    this.#assertOpen()
    return this.#tombstones.has(slab)
  }

  tombstone(slab: SlabId): SignedBytes | undefined {
    this.#assertOpen()
    return this.#tombstones.find(slab)
  }

  tombstones(after: number, limit: number): { deletions: SignedBytes[]; next: number } {
    this.#assertOpen()
    return this.#tombstones.after(after, limit)
  }

  expired(nowMs: number, limit: number): ColumnRow[] {
    this.#assertOpen()
    return this.#rows.expired(nowMs, limit)
  }

  forgetTombstones(nowMs: number): Promise<number> {
    return this.#track(async () => {
      let forgotten = 0
      for (;;) {
        // Nothing has to survive a power loss: what comes back is forgotten again.
        const step = this.#options.state.writeRelaxed(() => this.#tombstones.forget(nowMs))
        forgotten += step
        if (step === 0 || this.#closing.signal.aborted) return forgotten
        await new Promise((resolve) => setImmediate(resolve))
      }
    })
  }

  free(peer: string): { depositorBytes: number; repairBytes: number } {
    this.#assertOpen()
    return {
      depositorBytes: this.#room.freeBytes({ kind: 'depositor', peer }),
      repairBytes: this.#room.freeBytes({ kind: 'repair' }),
    }
  }

  usage(): ColumnsUsage {
    this.#assertOpen()
    return {
      offeredBytes: this.#room.offeredBytes,
      usedBytes: this.#room.chargedBytes(),
      repairBytes: this.#room.chargedTo({ kind: 'repair' }),
      repairPoolBytes: this.#room.repairPoolBytes,
      columns: this.#rows.total().columns,
      drafts: this.#intake.drafts,
      rottenColumns: this.#rows.countRotten(),
      tombstones: this.#tombstones.count,
    }
  }

  sweep(options: { dryRun: boolean; signal: AbortSignal }): Promise<{ orphans: number; bytes: number }> {
    const signal = AbortSignal.any([options.signal, this.#closing.signal])
    return this.#track(() => this.#sweep(options.dryRun, signal))
  }

  scrub(
    options: Parameters<Columns['scrub']>[0],
  ): Promise<{ checkedColumns: number; rottenColumns: number }> {
    const signal = AbortSignal.any([options.signal, this.#closing.signal])
    const parts = {
      rows: this.#rows,
      reads: this.#reads,
      bytesPerSecond: this.#options.scrubRateBytesPerSecond,
    }
    return this.#track(() => scrubColumns(parts, { ...options, signal }))
  }

  /** Refuses new work, gives drafts up, and waits for what is under way. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort(storageClosed())
    await this.#swept
    await this.#intake.close()
    while (this.#work.size > 0) await Promise.allSettled(this.#work)
    if (!this.#isSwept || this.#options.files.leftBehind) return
    try {
      this.#options.state.writeRelaxed(() => setUnclean(this.#options.state, 0))
    } catch {
      // A full disk: the next start only sweeps once more than it had to.
    }
  }

  /** After its row has gone, under the slab's lock. Never rejects: what stays is swept after the next start. */
  async #removeFile(slab: SlabId): Promise<void> {
    this.#reads.forget(slab)
    await this.#options.files.remove(slab).catch((error: unknown) => {
      this.#options.log.warn(
        { err: error },
        'a removed column left its file; it is swept after the next start',
      )
    })
  }

  /** Resolves once the transaction is as durable as the store promises. */
  async #write<T>(work: () => T): Promise<T> {
    const { state, durability } = this.#options
    // Many at once, such as removals after an expiry, leave the event loop its turns.
    const turn = this.#turns.take()
    if (turn !== undefined) await turn
    try {
      return durability === 'full' ? await state.write(work) : state.writeRelaxed(work)
    } finally {
      this.#room.measure()
    }
  }

  #sweep(dryRun: boolean, signal: AbortSignal): Promise<{ orphans: number; bytes: number }> {
    const { layout, fs, files } = this.#options
    return sweepColumns(
      {
        layout,
        fs,
        files,
        rows: this.#rows,
        reads: this.#reads,
        removeOrphan: (slab, isDry) => this.#removeOrphan(slab, isDry),
      },
      { dryRun, signal },
    )
  }

  async #removeOrphan(slab: SlabId, dryRun: boolean): Promise<number | undefined> {
    // Most have a row: no lock is needed to see that.
    if (this.#rows.held(slab) !== undefined) return undefined
    return this.#locks.run(slabKeyOf(slab), async () => {
      if (this.#rows.held(slab) !== undefined) return undefined
      const { files } = this.#options
      const sizeBytes = await files.sizeBytes(slab)
      if (sizeBytes === undefined) return undefined
      // A disk that was not there for a while took no column with it: what reads back whole is held again.
      if (await this.#reads.isBack(slab, this.#closing.signal)) {
        const chargedBytes = allocatedBytes(sizeBytes) + ROW_BYTES
        if (!dryRun) await this.#write(() => this.#rows.revive(slab, chargedBytes))
        return undefined
      }
      if (!dryRun) await files.remove(slab)
      return sizeBytes
    })
  }

  async #sweepAfterCrash(): Promise<void> {
    const { log } = this.#options
    try {
      const found = await this.#sweep(false, this.#closing.signal)
      this.#isSwept = true
      log.info(found, 'swept columns that an unclean end had left half stored or half removed')
    } catch (error) {
      if (this.#closing.signal.aborted) return
      log.warn({ err: error }, 'columns could not be swept; the next start tries again')
    }
  }

  /** Keeps the store open until the work has ended. */
  async #track<T>(work: () => Promise<T>): Promise<T> {
    this.#assertOpen()
    const running = work()
    this.#work.add(running)
    try {
      return await running
    } finally {
      this.#work.delete(running)
    }
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw storageClosed()
  }
}

export function setUnclean(state: StateDatabase, value: 0 | 1): void {
  state.db.prepare(`UPDATE column_meta SET value = ? WHERE key = 'unclean'`).run(value)
}
