/** The block store's own operations of the writer thread: rows of blocks, quarantine, leases. */
import type { Database } from 'better-sqlite3'
import { allocatedBytes } from '../files/names.ts'
import type { OperationCall, Operations, WriterContext, WriterTransaction } from './operations.ts'
import {
  type CommitArgs,
  ITEM_FILE,
  ITEM_MARK,
  ITEM_TOUCH,
  OUTCOME_ABSENT,
  OUTCOME_DONE,
  groupLength,
  readGroup,
} from './group.ts'
import { marker } from './mark-operations.ts'
import { PLACE_DATA, PLACE_FILE, PLACE_MISSING } from './schema.ts'

/** Rows touched in one transaction: some 5 ms, so that puts are not kept waiting. */
const TOUCHES_PER_TRANSACTION = 500

/** Pages given back to the file system in one step: some 5 ms. */
const VACUUM_PAGES_PER_STEP = 128

interface BlockRow {
  id: number
  size: number
  place: number
}

export function blockOperations(db: Database, context: WriterContext): Operations {
  const find = db.prepare<[Uint8Array], BlockRow>('SELECT id, size, place FROM block WHERE mh = ?')
  const insert = db.prepare<[Uint8Array, number, number, number, number]>(
    'INSERT INTO block (mh, size, place, touched, added) VALUES (?, ?, ?, ?, ?)',
  )
  const refill = db.prepare<[number, number, number, number, number]>(
    'UPDATE block SET size = ?, place = ?, touched = ?, added = max(added, ?) WHERE id = ?',
  )
  const insertData = db.prepare<[number | bigint, Uint8Array]>(
    'INSERT INTO block_data (id, data) VALUES (?, ?)',
  )
  const deleteData = db.prepare<[number]>('DELETE FROM block_data WHERE id = ?')
  const touch = db.prepare<[number, number, number]>(
    'UPDATE block SET touched = ?, added = max(added, ?) WHERE id = ?',
  )
  const touchHeld = db.prepare<[number, Uint8Array]>(
    `UPDATE block SET touched = ? WHERE mh = ? AND place <> ${PLACE_MISSING}`,
  )
  const lose = db.prepare<[number]>(`UPDATE block SET place = ${PLACE_MISSING} WHERE id = ?`)
  const openLease = db.prepare<[string, number, number, number]>(
    'INSERT INTO lease (id, since, created_ms, durable) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
  )
  const leaseSince = db.prepare<[string], number>('SELECT since FROM lease WHERE id = ?').pluck()
  const releaseLease = db.prepare<[string]>('DELETE FROM lease WHERE id = ?')
  const hasEndedLease = db.prepare('SELECT 1 FROM lease WHERE durable = 0 LIMIT 1')
  const dropEndedLeases = db.prepare('DELETE FROM lease WHERE durable = 0')
  const mark = marker(db)
  const freePages = db.prepare<[], number>('PRAGMA freelist_count').pluck()

  function store(
    transaction: WriterTransaction,
    mh: Uint8Array,
    sizeBytes: number,
    added: number,
    data: Uint8Array | null,
  ): void {
    const row = find.get(mh)
    if (row !== undefined && row.place !== PLACE_MISSING) {
      touch.run(transaction.sequence, added, row.id)
      return
    }
    const place = data === null ? PLACE_FILE : PLACE_DATA
    let id: number | bigint
    if (row === undefined) {
      id = insert.run(mh, sizeBytes, place, transaction.sequence, added).lastInsertRowid
    } else {
      id = row.id
      refill.run(sizeBytes, place, transaction.sequence, added, row.id)
    }
    if (data !== null) insertData.run(id, data)
    transaction.account({
      blocks: 1,
      blockBytes: sizeBytes,
      fileBytes: place === PLACE_FILE ? allocatedBytes(sizeBytes) : 0,
      quarantined: row === undefined ? 0 : -1,
    })
  }

  return {
    /** One group of puts, touches and marks; resolves with an outcome for each item once the transaction is durable. */
    'blocks.commit'(args: CommitArgs): Uint8Array {
      return context.commit((transaction) => {
        const outcomes = new Uint8Array(groupLength(args)).fill(OUTCOME_DONE)
        let index = 0
        for (const item of readGroup(args)) {
          if (item.kind === ITEM_MARK) mark(item.mh)
          else if (item.kind === ITEM_TOUCH) {
            const row = find.get(item.mh)
            if (row === undefined || row.place === PLACE_MISSING) outcomes[index] = OUTCOME_ABSENT
            else touch.run(transaction.sequence, Number(item.isAdded), row.id)
          } else {
            const data = item.kind === ITEM_FILE ? null : item.data
            store(transaction, item.mh, item.sizeBytes, Number(item.isAdded), data)
          }
          index++
        }
        return outcomes
      })
    },

    /** Marks blocks that are held as needed by an open lease; those that are not held are passed over. */
    async 'blocks.touch'(args: { mhs: Uint8Array[] }, call: OperationCall): Promise<void> {
      for (let start = 0; start < args.mhs.length; start += TOUCHES_PER_TRANSACTION) {
        if (start > 0) await context.turn()
        call.signal.throwIfAborted()
        context.commit(({ sequence }) => {
          for (const mh of args.mhs.slice(start, start + TOUCHES_PER_TRANSACTION)) touchHeld.run(sequence, mh)
        })
      }
    },

    /** Takes a rotten block's bytes out of the store; the row stays. False where the block has changed meanwhile. */
    'blocks.quarantine'(args: { mh: Uint8Array; id: number; place: number }): boolean {
      const row = find.get(args.mh)
      // Ids are used again: a row under the same one may be another block, or this block put again.
      if (row?.id !== args.id || row.place !== args.place || row.place === PLACE_MISSING) return false
      context.commit((transaction) => {
        lose.run(row.id)
        if (row.place === PLACE_DATA) deleteData.run(row.id)
        transaction.account({
          blocks: -1,
          blockBytes: -row.size,
          fileBytes: row.place === PLACE_FILE ? -allocatedBytes(row.size) : 0,
          quarantined: 1,
        })
      })
      return true
    },

    /** Opens the lease or takes it up again; resolves with its `since`. */
    'blocks.lease.open'(args: { id: string; nowMs: number; durable: boolean; keepsAll: boolean }): number {
      return context.commit(({ sequence }) => {
        openLease.run(args.id, args.keepsAll ? 0 : sequence, args.nowMs, args.durable ? 1 : 0)
        return leaseSince.get(args.id) as number
      })
    },

    'blocks.lease.release'(args: { id: string }): void {
      context.commit(() => releaseLease.run(args.id))
    },

    /** Drops the leases that end with the process that opened them. */
    'blocks.lease.endRun'(): void {
      if (hasEndedLease.get() !== undefined) context.commit(() => dropEndedLeases.run())
    },

    /** Gives the pages that removed blocks left, and the log's length, back to the file system, in small steps. */
    async 'blocks.vacuum'(_args: object, call: OperationCall): Promise<void> {
      while (!call.signal.aborted && (freePages.get() ?? 0) > 0) {
        db.pragma(`incremental_vacuum(${VACUUM_PAGES_PER_STEP})`)
        await context.turn()
      }
      db.pragma('wal_checkpoint(TRUNCATE)')
      // A transaction of its own, so that the figures are told.
      context.commit(() => undefined)
    },
  }
}
