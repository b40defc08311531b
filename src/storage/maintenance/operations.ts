/** The collector's operations of the writer thread. */
import type { Database } from 'better-sqlite3'
import type { RemovedBlock } from '../blocks/internal.ts'
import { allocatedBytes } from '../files/names.ts'
import type { OperationCall, Operations, WriterContext } from '../blocks/operations.ts'
import { PLACE_FILE, PLACE_MISSING } from '../blocks/schema.ts'
import { STATE_PINNED } from '../pins/states.ts'

/** How long one transaction of the collector works, so that a put waits no longer behind it. */
const STEP_BUDGET_MS = 8

/** Rows removed in one transaction at most: their multihashes go to the main thread, which removes up to as many files. */
const MAX_ROWS_PER_STEP = 256

export interface CollectStepReply {
  /** The removed blocks, for `BlockStore.discard`. */
  removed: RemovedBlock[]
  removedBytes: number
  /**
   * `more`: call again. `paused`: a DAG is being counted, whose blocks have no references yet; call again later.
   * `done`: nothing is left that this collection may remove.
   */
  state: 'more' | 'paused' | 'done'
}

export interface EvictStepReply {
  removed: RemovedBlock[]
  removedBytes: number
  /** Blocks that stay only because an open lease covers them. */
  leased: number
  rest: number
  /** A DAG is being counted, whose blocks have no references yet: nothing was removed. */
  isPaused: boolean
}

interface GarbageRow {
  id: number
  mh: Uint8Array
  size: number
  place: number
}

export function maintenanceOperations(db: Database, context: WriterContext): Operations {
  const counting = db
    .prepare<[], number>(
      `SELECT EXISTS (SELECT 1 FROM pin WHERE state <> 2 AND state < ${STATE_PINNED})
         OR EXISTS (SELECT 1 FROM ref_work WHERE delta = 1)`,
    )
    .pluck()
  const oldestLease = db.prepare<[], number | null>('SELECT min(since) FROM lease').pluck()
  const garbage = db.prepare<[number, number], GarbageRow>(
    'SELECT id, mh, size, place FROM block WHERE refs = 0 AND touched < ? ORDER BY touched LIMIT ?',
  )
  const forgotten = db
    .prepare<[number], number>(`SELECT id FROM block WHERE place = 2 AND refs = 0 LIMIT ?`)
    .pluck()
  const remove = db.prepare<[number]>('DELETE FROM block WHERE id = ?')
  const evictable = db.prepare<[Uint8Array], GarbageRow & { touched: number }>(
    'SELECT id, mh, size, place, touched FROM block WHERE mh = ? AND refs = 0 AND place <> 2 AND added = 0',
  )

  /** In one transaction, as many as fit into the budget, but one at least. */
  function removeRows(
    rows: readonly GarbageRow[],
    budgetMs = STEP_BUDGET_MS,
  ): Pick<CollectStepReply, 'removed' | 'removedBytes'> {
    const removed: RemovedBlock[] = []
    let removedBytes = 0
    context.commit((transaction) => {
      const deadlineMs = performance.now() + budgetMs
      for (const { id, mh, size, place } of rows) {
        if (removed.length > 0 && performance.now() >= deadlineMs) break
        remove.run(id)
        removed.push({ mh, isFile: place === PLACE_FILE })
        if (place === PLACE_MISSING) {
          transaction.account({ quarantined: -1 })
          continue
        }
        removedBytes += size
        transaction.account({
          blocks: -1,
          blockBytes: -size,
          fileBytes: place === PLACE_FILE ? -allocatedBytes(size) : 0,
        })
      }
    })
    return { removed, removedBytes }
  }

  return {
    /** What a collection that begins now may remove: everything marked up to this number. */
    'maintenance.horizon': (): number => context.sequence(),

    /**
     * Removes some blocks without references. Leases and references are looked at in the transaction that removes: what a
     * put or a pin before it has marked is kept, and one after it finds the row gone and acts on that.
     */
    'maintenance.collect'(args: { horizon: number }): CollectStepReply {
      if (counting.get() === 1) return { removed: [], removedBytes: 0, state: 'paused' }
      const before = Math.min(args.horizon + 1, oldestLease.get() ?? Number.MAX_SAFE_INTEGER)
      const rows = garbage.all(before, MAX_ROWS_PER_STEP)
      if (rows.length === 0) return { removed: [], removedBytes: 0, state: 'done' }
      return { ...removeRows(rows), state: 'more' }
    },

    /**
     * Removes those of the named blocks that nothing refers to, that were not added here, and that no open lease covers, under the
     * same rules as a collection; `rest` is how many of them, at the end, were not looked at for want of time.
     */
    'maintenance.evict'(args: { mhs: Uint8Array[] }): EvictStepReply {
      if (counting.get() === 1)
        return { removed: [], removedBytes: 0, leased: 0, rest: args.mhs.length, isPaused: true }
      const before = oldestLease.get() ?? Number.MAX_SAFE_INTEGER
      const rows: GarbageRow[] = []
      let leased = 0
      const step = args.mhs.slice(0, MAX_ROWS_PER_STEP)
      for (const mh of step) {
        const row = evictable.get(mh)
        if (row === undefined) continue
        if (row.touched < before) rows.push(row)
        else leased += 1
      }
      const rest = args.mhs.length - step.length
      if (rows.length === 0) return { removed: [], removedBytes: 0, leased, rest, isPaused: false }
      return { ...removeRows(rows, Number.POSITIVE_INFINITY), leased, rest, isPaused: false }
    },

    /** Removes the rows of quarantined blocks that nobody references: there is nothing to heal them for. */
    async 'maintenance.forget'(_args: object, call: OperationCall): Promise<void> {
      while (!call.signal.aborted) {
        const ids = forgotten.all(MAX_ROWS_PER_STEP)
        if (ids.length === 0) return
        context.commit((transaction) => {
          for (const id of ids) remove.run(id)
          transaction.account({ quarantined: -ids.length })
        })
        await context.turn()
      }
    },
  }
}
