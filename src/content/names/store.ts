import type { Statement } from 'better-sqlite3'
import type { StateDatabase } from '../../storage/state/types.ts'
import { MAX_SEEN_RECORDS } from './limits.ts'
import { isBetter, unmarshalled } from './record.ts'
import type { NameRecord } from './types.ts'

export interface StoredRecord extends NameRecord {
  name: string
  checkedMs: number
  /** Null for one that was only seen. */
  nextMs: number | null
}

export interface Publication {
  name: string
  key: string
  value: string
  lifetimeMs: number
  ttlMs: number
  told: number
  problem: string | null
}

/** Names in state.db. What is within `write` is one transaction; what must survive power loss goes through it. */
export class NameStore {
  readonly #state: Pick<StateDatabase, 'db' | 'write' | 'writeRelaxed'>
  readonly #sql: ReturnType<typeof prepare>

  constructor(state: Pick<StateDatabase, 'db' | 'write' | 'writeRelaxed'>) {
    this.#state = state
    this.#sql = prepare(state)
  }

  write<T>(work: () => T): Promise<T> {
    return this.#state.write(work)
  }

  /** The number that was given out last for a name; 0 before the first. */
  sequence(name: string): bigint {
    return BigInt(this.#sql.sequence.get(name)?.sequence ?? 0)
  }

  /** Call within `write`. */
  setSequence(name: string, sequence: bigint): void {
    this.#sql.setSequence.run(name, sequence.toString())
  }

  record(name: string): StoredRecord | undefined {
    const row = this.#sql.record.get(name)
    return row === undefined ? undefined : storedOf(row)
  }

  /** Keeps what was seen, unless a better one is known; the one that was asked for longest ago makes room. */
  see(name: string, record: NameRecord, nowMs: number): StoredRecord {
    return this.#state.writeRelaxed(() => {
      const known = this.record(name)
      const best = known !== undefined && !isBetter(record, known) ? known : record
      this.#sql.putSeen.run(name, best.bytes, best.validUntilMs, nowMs)
      if (known === undefined && (this.#sql.countSeen.get()?.count ?? 0) > MAX_SEEN_RECORDS)
        this.#sql.forgetSeen.run()
      return { ...best, name, checkedMs: nowMs, nextMs: known?.nextMs ?? null }
    })
  }

  /** The network was asked and knew nothing better. */
  touch(name: string, nowMs: number): void {
    this.#state.writeRelaxed(() => this.#sql.touch.run(nowMs, name))
  }

  /** Call within `write`: keeps a record that peers are told of again at `nextMs`. */
  keep(name: string, record: NameRecord, nowMs: number, nextMs: number): void {
    this.#sql.keep.run(name, record.bytes, record.validUntilMs, nowMs, nextMs)
  }

  /** When peers are told again; null: no more. */
  setNext(name: string, nextMs: number | null): void {
    this.#state.writeRelaxed(() => this.#sql.setNext.run(nextMs, name))
  }

  /** The record that is due first. */
  next(): { name: string; nextMs: number } | undefined {
    const row = this.#sql.next.get()
    return row === undefined ? undefined : { name: row.name, nextMs: row.next_ms }
  }

  countImported(): number {
    return this.#sql.countImported.get()?.count ?? 0
  }

  publication(name: string): Publication | undefined {
    const row = this.#sql.publication.get(name)
    return row === undefined ? undefined : publicationOf(row)
  }

  publications(): Publication[] {
    return this.#sql.publications.all().map(publicationOf)
  }

  /** Call within `write`. */
  putPublication({ name, key, value, lifetimeMs, ttlMs }: Publication): void {
    this.#sql.putPublication.run(name, key, value, lifetimeMs, ttlMs)
  }

  setTold(name: string, told: number, problem: string | null): void {
    this.#state.writeRelaxed(() => this.#sql.setTold.run(told, problem, name))
  }

  /** Call within `write`; the number stays. */
  removePublication(name: string): void {
    this.#sql.removePublication.run(name)
    this.#sql.setNext.run(null, name)
  }

  keys(): { key: string; name: string; sealed: Uint8Array; createdAtMs: number }[] {
    return this.#sql.keys
      .all()
      .map(({ key, name, sealed, created_ms }) => ({ key, name, sealed, createdAtMs: created_ms }))
  }

  /** Call within `write`. */
  putKey(key: string, name: string, sealed: Uint8Array, createdAtMs: number): void {
    this.#sql.putKey.run(key, name, sealed, createdAtMs)
  }

  /** Call within `write`. */
  removeKey(key: string): void {
    this.#sql.removeKey.run(key)
  }
}

interface RecordRow {
  name: string
  record: Uint8Array
  checked_ms: number
  next_ms: number | null
}

interface PublicationRow {
  name: string
  key: string
  value: string
  lifetime_ms: number
  ttl_ms: number
  told: number
  problem: string | null
}

interface KeyRow {
  key: string
  name: string
  sealed: Uint8Array
  created_ms: number
}

function prepare({ db }: Pick<StateDatabase, 'db'>) {
  const query = <Parameters extends unknown[], Row>(text: string): Statement<Parameters, Row> =>
    db.prepare<Parameters, Row>(text)
  return {
    sequence: query<[string], { sequence: string }>('SELECT sequence FROM name_sequence WHERE name = ?'),
    setSequence: query<[string, string], never>(
      `INSERT INTO name_sequence (name, sequence) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET sequence = excluded.sequence`,
    ),
    record: query<[string], RecordRow>(
      'SELECT name, record, checked_ms, next_ms FROM name_record WHERE name = ?',
    ),
    putSeen: query<[string, Uint8Array, number, number], never>(
      `INSERT INTO name_record (name, record, valid_until_ms, checked_ms) VALUES (?, ?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET record = excluded.record, valid_until_ms = excluded.valid_until_ms,
         checked_ms = excluded.checked_ms`,
    ),
    countSeen: query<[], { count: number }>(
      'SELECT count(*) AS count FROM name_record WHERE next_ms IS NULL',
    ),
    forgetSeen: query<[], never>(
      `DELETE FROM name_record WHERE name =
         (SELECT name FROM name_record WHERE next_ms IS NULL ORDER BY checked_ms LIMIT 1)`,
    ),
    touch: query<[number, string], never>('UPDATE name_record SET checked_ms = ? WHERE name = ?'),
    keep: query<[string, Uint8Array, number, number, number], never>(
      `INSERT INTO name_record (name, record, valid_until_ms, checked_ms, next_ms) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET record = excluded.record, valid_until_ms = excluded.valid_until_ms,
         checked_ms = excluded.checked_ms, next_ms = excluded.next_ms`,
    ),
    setNext: query<[number | null, string], never>('UPDATE name_record SET next_ms = ? WHERE name = ?'),
    next: query<[], { name: string; next_ms: number }>(
      'SELECT name, next_ms FROM name_record WHERE next_ms IS NOT NULL ORDER BY next_ms LIMIT 1',
    ),
    countImported: query<[], { count: number }>(
      `SELECT count(*) AS count FROM name_record
       WHERE next_ms IS NOT NULL AND name NOT IN (SELECT name FROM name_published)`,
    ),
    publication: query<[string], PublicationRow>('SELECT * FROM name_published WHERE name = ?'),
    publications: query<[], PublicationRow>('SELECT * FROM name_published ORDER BY key'),
    putPublication: query<[string, string, string, number, number], never>(
      `INSERT INTO name_published (name, key, value, lifetime_ms, ttl_ms) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value, lifetime_ms = excluded.lifetime_ms,
         ttl_ms = excluded.ttl_ms, told = 0, problem = NULL`,
    ),
    setTold: query<[number, string | null, string], never>(
      'UPDATE name_published SET told = ?, problem = ? WHERE name = ?',
    ),
    removePublication: query<[string], never>('DELETE FROM name_published WHERE name = ?'),
    keys: query<[], KeyRow>('SELECT * FROM name_key ORDER BY key'),
    putKey: query<[string, string, Uint8Array, number], never>(
      'INSERT INTO name_key (key, name, sealed, created_ms) VALUES (?, ?, ?, ?)',
    ),
    removeKey: query<[string], never>('DELETE FROM name_key WHERE key = ?'),
  }
}

/** What is stored was checked before. */
function storedOf(row: RecordRow): StoredRecord {
  return {
    ...unmarshalled(row.record),
    bytes: row.record,
    name: row.name,
    checkedMs: row.checked_ms,
    nextMs: row.next_ms,
  }
}

function publicationOf(row: PublicationRow): Publication {
  const { name, key, value, told, problem } = row
  return { name, key, value, lifetimeMs: row.lifetime_ms, ttlMs: row.ttl_ms, told, problem }
}
