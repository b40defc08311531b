import type { Statement } from 'better-sqlite3'
import { CID } from 'multiformats/cid'
import type { StateDatabase } from '../../storage/state/types.ts'

/** Values of provide_record.kind, in the order in which they get their turn. */
export const KIND_ROOT = 0
export const KIND_BLOCK = 1

export type RecordKind = typeof KIND_ROOT | typeof KIND_BLOCK

export interface ProvideRow {
  cid: CID
  kind: RecordKind
  /** Was added without a pin: announced while it is held. */
  isLoose: boolean
  nextMs: number
  failures: number
}

interface StoredRow {
  cid: Uint8Array
  kind: RecordKind
  loose: number
  next_ms: number
  failures: number
}

/**
 * The queue in state.db. A row is one multihash, as in the DHT. Its writes survive a crash of the process; after a power
 * loss the last ones may be gone, and the roots of pins are taken up again at the next start.
 */
export class ProvideStore {
  readonly #state: StateDatabase
  readonly #insert: Statement<[Uint8Array, Uint8Array, number, number, number, number]>
  readonly #promote: Statement<[Uint8Array, number, Uint8Array, number]>
  readonly #find: Statement<[Uint8Array], StoredRow>
  readonly #due: Statement<[number, number, number], StoredRow>
  readonly #soonest: Statement<[number], number | null>
  readonly #done: Statement<[number, number, number, Uint8Array]>
  readonly #failed: Statement<[number, Uint8Array]>
  readonly #remove: Statement<[Uint8Array]>
  readonly #page: Statement<[number], StoredRow>
  readonly #after: Statement<[Uint8Array, number], StoredRow>
  readonly #debt: Statement<[number], { records: number; oldest: number | null }>
  #records: number

  constructor(state: StateDatabase) {
    this.#state = state
    const { db } = state
    const columns = 'cid, kind, loose, next_ms, failures'
    this.#insert = db.prepare(
      `INSERT INTO provide_record (mh, cid, kind, loose, due_ms, next_ms) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (mh) DO NOTHING`,
    )
    // What is a root by now is no longer one among many blocks; otherwise what is known of the record stays.
    this.#promote = db.prepare(
      'UPDATE provide_record SET cid = ?, kind = 0, loose = ? WHERE mh = ? AND (kind <> 0 OR loose <> ?)',
    )
    this.#find = db.prepare(`SELECT ${columns} FROM provide_record WHERE mh = ?`)
    this.#due = db.prepare(
      `SELECT ${columns} FROM provide_record WHERE kind = ? AND next_ms <= ? ORDER BY next_ms LIMIT ?`,
    )
    this.#soonest = db.prepare<[number], number | null>(
      'SELECT min(next_ms) FROM provide_record WHERE kind = ?',
    )
    this.#soonest.pluck()
    this.#done = db.prepare(
      'UPDATE provide_record SET provided_ms = ?, due_ms = ?, next_ms = ?, failures = 0 WHERE mh = ?',
    )
    this.#failed = db.prepare('UPDATE provide_record SET next_ms = ?, failures = failures + 1 WHERE mh = ?')
    this.#remove = db.prepare('DELETE FROM provide_record WHERE mh = ?')
    this.#page = db.prepare(`SELECT ${columns} FROM provide_record LIMIT ?`)
    this.#after = db.prepare(`SELECT ${columns} FROM provide_record WHERE mh > ? ORDER BY mh LIMIT ?`)
    this.#records = db.prepare<[], number>('SELECT count(*) FROM provide_record').pluck().get() ?? 0
    this.#debt = db.prepare(
      'SELECT count(*) AS records, min(due_ms) AS oldest FROM provide_record WHERE due_ms < ?',
    )
  }

  /** Takes records in that are not there yet, due now; at most a few hundred at a time. */
  add(records: readonly { cid: CID; kind: RecordKind; isLoose: boolean }[], nowMs: number): void {
    this.#records += this.#state.writeRelaxed(() => {
      let added = 0
      for (const { cid, kind, isLoose } of records) {
        const [mh, loose] = [cid.multihash.bytes, isLoose ? 1 : 0]
        const { changes } = this.#insert.run(mh, cid.bytes, kind, loose, nowMs, nowMs)
        added += changes
        if (changes === 0 && kind === KIND_ROOT) this.#promote.run(cid.bytes, loose, mh, loose)
      }
      return added
    })
  }

  /** Rows in all. */
  get records(): number {
    return this.#records
  }

  find(cid: CID): ProvideRow | undefined {
    const row = this.#find.get(cid.multihash.bytes)
    return row === undefined ? undefined : toRow(row)
  }

  /** Roots first, each kind in the order in which they are due. */
  due(nowMs: number, limit: number): ProvideRow[] {
    const roots = this.#due.all(KIND_ROOT, nowMs, limit)
    const blocks = roots.length === limit ? [] : this.#due.all(KIND_BLOCK, nowMs, limit - roots.length)
    return [...roots, ...blocks].map(toRow)
  }

  /** When the next record gets its turn; undefined where there is none. */
  soonestMs(): number | undefined {
    const times = [KIND_ROOT, KIND_BLOCK].map((kind) => this.#soonest.get(kind) as number | null)
    const known = times.filter((time) => time !== null)
    return known.length === 0 ? undefined : Math.min(...known)
  }

  done(cid: CID, providedMs: number, nextMs: number): void {
    this.#state.writeRelaxed(() => this.#done.run(providedMs, nextMs, nextMs, cid.multihash.bytes))
  }

  failed(cid: CID, nextMs: number): void {
    this.#state.writeRelaxed(() => this.#failed.run(nextMs, cid.multihash.bytes))
  }

  remove(cids: readonly CID[]): void {
    this.#records -= this.#state.writeRelaxed(() =>
      cids.reduce((sum, cid) => sum + this.#remove.run(cid.multihash.bytes).changes, 0),
    )
  }

  page(limit: number): ProvideRow[] {
    return this.#page.all(limit).map(toRow)
  }

  /** In the order of their multihashes, after this one. */
  pageAfter(multihash: Uint8Array, limit: number): ProvideRow[] {
    return this.#after.all(multihash, limit).map(toRow)
  }

  counts(nowMs: number): { records: number; debtRecords: number; debtOldestMs: number } {
    const debt = this.#debt.get(nowMs) ?? { records: 0, oldest: null }
    return {
      records: this.#records,
      debtRecords: debt.records,
      debtOldestMs: debt.oldest === null ? 0 : Math.max(0, nowMs - debt.oldest),
    }
  }
}

function toRow(row: StoredRow): ProvideRow {
  return {
    cid: CID.decode(row.cid),
    kind: row.kind,
    isLoose: row.loose === 1,
    nextMs: row.next_ms,
    failures: row.failures,
  }
}
