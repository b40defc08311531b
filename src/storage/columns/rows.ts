import type { Database } from 'better-sqlite3'
import { sameBytes } from '../../../protocols/chunk/format/index.ts'
import type { HeldColumn, SignedBytes, SlabId } from '../../../protocols/chunk/types.ts'
import { MAX_ROWS } from './limits.ts'
import type { ColumnRow, Purse } from './types.ts'

/** A row as this store sees it. */
export interface StoredColumn {
  row: ColumnRow
  /** Length of the index in the file. */
  indexBytes: number
  /** Its bytes are gone; it is not held. */
  rotten: boolean
}

export interface NewColumn {
  row: ColumnRow
  indexBytes: number
  chargedBytes: number
  lease: SignedBytes
}

export interface Sum {
  charged: number
  columns: number
}

interface ColumnRecord {
  slab: Buffer
  column_number: number
  slab_group: Buffer
  k: number
  n: number
  index_hash: Buffer
  index_bytes: number
  column_bytes: number
  until_ms: number
  lease_sequence: number
  depositor: string | null
  stored_ms: number
  rotten: number
}

interface LeaseRecord {
  lease_payload: Buffer
  lease_signature: Buffer
  lease_sequence: number
  until_ms: number
  rotten: number
}

const FIELDS = `slab, column_number, slab_group, k, n, index_hash, index_bytes, column_bytes, until_ms, lease_sequence,
  depositor, stored_ms, rotten`

/** Purses of the table of sums that are no peer's. */
const ALL = '*'
const REPAIR = ''

const NOTHING: Sum = { charged: 0, columns: 0 }
const BEFORE_ALL = new Uint8Array(0)

/** The table of held columns. Writing methods are called within a transaction; each statement takes microseconds. */
export class ColumnRows {
  readonly #find
  readonly #have
  readonly #lease
  readonly #page
  readonly #ofGroup
  readonly #nextGroup
  readonly #expired
  readonly #sum
  readonly #rotten
  readonly #insert
  readonly #remove
  readonly #lose
  readonly #renew

  constructor(db: Database) {
    this.#find = db.prepare<[Uint8Array], ColumnRecord>(`SELECT ${FIELDS} FROM held_column WHERE slab = ?`)
    this.#have = db.prepare<
      [Uint8Array],
      Pick<ColumnRecord, 'column_number' | 'index_hash' | 'until_ms' | 'depositor'>
    >('SELECT column_number, index_hash, until_ms, depositor FROM held_column WHERE slab = ? AND rotten = 0')
    this.#lease = db.prepare<[Uint8Array], LeaseRecord>(
      'SELECT lease_payload, lease_signature, lease_sequence, until_ms, rotten FROM held_column WHERE slab = ?',
    )
    this.#page = db.prepare<[Uint8Array, number], ColumnRecord>(
      `SELECT ${FIELDS} FROM held_column WHERE slab > ? AND rotten = 0 ORDER BY slab LIMIT ?`,
    )
    this.#ofGroup = db.prepare<[Uint8Array, number], ColumnRecord>(
      `SELECT ${FIELDS} FROM held_column WHERE slab_group = ? AND rotten = 0 ORDER BY slab LIMIT ?`,
    )
    this.#nextGroup = db
      .prepare<[Uint8Array], Buffer>(
        'SELECT slab_group FROM held_column WHERE slab_group > ? AND rotten = 0 ORDER BY slab_group LIMIT 1',
      )
      .pluck()
    this.#expired = db.prepare<[number, number], ColumnRecord>(
      `SELECT ${FIELDS} FROM held_column WHERE until_ms < ? ORDER BY until_ms LIMIT ?`,
    )
    this.#sum = db.prepare<[string], Sum>('SELECT charged, columns FROM column_sum WHERE purse = ?')
    this.#rotten = db.prepare<[], number>('SELECT count(*) FROM held_column WHERE rotten = 1').pluck()
    this.#insert = db.prepare<(Uint8Array | number | string | null)[]>(
      `INSERT INTO held_column (slab, column_number, slab_group, k, n, index_hash, index_bytes, column_bytes, charged,
         until_ms, lease_sequence, lease_payload, lease_signature, depositor, stored_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#remove = db.prepare<[Uint8Array]>('DELETE FROM held_column WHERE slab = ?')
    this.#lose = db.prepare<[Uint8Array]>('UPDATE held_column SET rotten = 1 WHERE slab = ? AND rotten = 0')
    this.#renew = db.prepare<[number, number, Uint8Array, Uint8Array, Uint8Array]>(
      `UPDATE held_column SET until_ms = ?, lease_sequence = ?, lease_payload = ?, lease_signature = ? WHERE slab = ?`,
    )
  }

  /** The row, whether or not its bytes are there. */
  find(slab: SlabId): StoredColumn | undefined {
    const record = this.#find.get(slab)
    return record === undefined ? undefined : toStored(record)
  }

  held(slab: SlabId): StoredColumn | undefined {
    const stored = this.find(slab)
    return stored?.rotten === true ? undefined : stored
  }

  have(slabs: readonly SlabId[]): HeldColumn[] {
    const held: HeldColumn[] = []
    for (const slab of slabs) {
      const record = this.#have.get(slab)
      if (record === undefined) continue
      const { column_number: column, index_hash, until_ms: untilMs, depositor } = record
      held.push({ slab, column, indexHash: plainBytes(index_hash), untilMs, isRebuilt: depositor === null })
    }
    return held
  }

  lease(slab: SlabId): SignedBytes | undefined {
    const record = this.#lease.get(slab)
    return record === undefined || record.rotten === 1 ? undefined : signedOf(record)
  }

  page(after: SlabId | undefined, limit: number): StoredColumn[] {
    return this.#page.all(after ?? BEFORE_ALL, Math.min(limit, MAX_ROWS)).map(toStored)
  }

  ofGroup(group: SlabId): ColumnRow[] {
    return this.#ofGroup.all(group, MAX_ROWS).map((record) => toStored(record).row)
  }

  /** One seek a group: SQLite would read every row of each group for a DISTINCT. */
  groups(after: SlabId | undefined, limit: number): SlabId[] {
    const groups: SlabId[] = []
    let last = after ?? BEFORE_ALL
    while (groups.length < Math.min(limit, MAX_ROWS)) {
      const next = this.#nextGroup.get(last)
      if (next === undefined) break
      last = plainBytes(next)
      groups.push(last)
    }
    return groups
  }

  expired(nowMs: number, limit: number): ColumnRow[] {
    return this.#expired.all(nowMs, Math.min(limit, MAX_ROWS)).map((record) => toStored(record).row)
  }

  total(): Sum {
    return this.#sum.get(ALL) ?? NOTHING
  }

  sumOf(purse: Purse): Sum {
    return this.#sum.get(purse.kind === 'repair' ? REPAIR : purse.peer) ?? NOTHING
  }

  countRotten(): number {
    return this.#rotten.get() ?? 0
  }

  /** Takes the place of a row whose bytes were lost; its lease stays where it is the newer one. */
  put({ row, indexBytes, chargedBytes, lease }: NewColumn): ColumnRow {
    const before = this.#lease.get(row.slab)
    const isOlder = before !== undefined && before.lease_sequence > row.leaseSequence
    const { payload, signature } = isOlder ? signedOf(before) : lease
    const untilMs = isOlder ? before.until_ms : row.untilMs
    const leaseSequence = isOlder ? before.lease_sequence : row.leaseSequence
    this.#remove.run(row.slab)
    this.#insert.run(
      row.slab,
      row.column,
      row.group,
      row.k,
      row.n,
      row.indexHash,
      indexBytes,
      row.columnBytes,
      chargedBytes,
      untilMs,
      leaseSequence,
      payload,
      signature,
      row.purse.kind === 'repair' ? null : row.purse.peer,
      row.storedAtMs,
    )
    return { ...row, untilMs, leaseSequence }
  }

  /** Its bytes, which were believed to be gone, are there. Put anew, so that the sums follow. */
  revive(slab: SlabId, chargedBytes: number): void {
    const stored = this.find(slab)
    const lease = this.#lease.get(slab)
    if (stored?.rotten !== true || lease === undefined) return
    const { row, indexBytes } = stored
    this.put({ row, indexBytes, chargedBytes, lease: signedOf(lease) })
  }

  remove(slab: SlabId): boolean {
    return this.#remove.run(slab).changes > 0
  }

  /** Its bytes are gone. False where that was known, or the column is not held any more. */
  lose(slab: SlabId): boolean {
    return this.#lose.run(slab).changes > 0
  }

  renew(slab: SlabId, lease: { signed: SignedBytes; untilMs: number; sequence: number }): void {
    const { payload, signature } = lease.signed
    this.#renew.run(lease.untilMs, lease.sequence, payload, signature, slab)
  }
}

/** Whether the row is of this very column. */
export function isSameColumn(
  row: ColumnRow,
  other: { column: number; group: SlabId; k: number; n: number },
): boolean {
  return (
    row.column === other.column && row.k === other.k && row.n === other.n && sameBytes(row.group, other.group)
  )
}

function toStored(record: ColumnRecord): StoredColumn {
  const { depositor } = record
  return {
    row: {
      slab: plainBytes(record.slab),
      column: record.column_number,
      group: plainBytes(record.slab_group),
      k: record.k,
      n: record.n,
      indexHash: plainBytes(record.index_hash),
      columnBytes: record.column_bytes,
      untilMs: record.until_ms,
      leaseSequence: record.lease_sequence,
      purse: depositor === null ? { kind: 'repair' } : { kind: 'depositor', peer: depositor },
      storedAtMs: record.stored_ms,
    },
    indexBytes: record.index_bytes,
    rotten: record.rotten === 1,
  }
}

function signedOf({ lease_payload: payload, lease_signature: signature }: LeaseRecord): SignedBytes {
  return { payload: plainBytes(payload), signature: plainBytes(signature) }
}

/** better-sqlite3 gives Buffers, whose slice() shares memory. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
