import type { Statement } from 'better-sqlite3'
import { CID } from 'multiformats/cid'
import type { StateDatabase } from '../../storage/state/types.ts'
import type { PinRequest, PinRequestQuery, PinRequestStatus } from './types.ts'

type State = Pick<StateDatabase, 'db' | 'write' | 'writeRelaxed'>

/** A request with what the work on it needs. */
export interface StoredRequest extends PinRequest {
  tries: number
  job: string | null
  nextMs: number | null
}

/** Pin requests in state.db. */
export class PinRequestStore {
  readonly #state: State
  readonly #sql: ReturnType<typeof prepare>

  constructor(state: State) {
    this.#state = state
    this.#sql = prepare(state)
  }

  count(): number {
    return this.#sql.count.get()?.count ?? 0
  }

  /** Durable when it resolves. The time of creation is moved on where another request has it. */
  insert(
    request: Omit<PinRequest, 'status' | 'reason' | 'createdMs'>,
    nowMs: number,
  ): Promise<StoredRequest> {
    return this.#state.write(() => {
      const createdMs = Math.max(nowMs, (this.#sql.newest.get()?.created_ms ?? 0) + 1)
      const { id, cid, name, origins, meta } = request
      this.#sql.insert.run({
        id,
        cid,
        cid_v1: normalized(cid),
        name,
        name_folded: name === null ? null : folded(name),
        origins: JSON.stringify(origins),
        meta: meta === null ? null : JSON.stringify(meta),
        created_ms: createdMs,
        next_ms: nowMs,
      })
      return this.get(id) as StoredRequest
    })
  }

  get(id: string): StoredRequest | undefined {
    const row = this.#sql.get.get(id)
    return row === undefined ? undefined : requestOf(row)
  }

  list(query: PinRequestQuery): { count: number; requests: StoredRequest[] } {
    const { where, values } = conditionsOf(query)
    const { db } = this.#state
    const counted = db
      .prepare<unknown[], { count: number }>(`SELECT count(*) AS count FROM pin_request WHERE ${where}`)
      .get(...values)
    const rows = db
      .prepare<unknown[], Row>(`SELECT * FROM pin_request WHERE ${where} ORDER BY created_ms DESC LIMIT ?`)
      .all(...values, query.limit)
    return { count: counted?.count ?? 0, requests: rows.map(requestOf) }
  }

  /** Those that are not at their end, the oldest first. */
  unfinished(): StoredRequest[] {
    return this.#sql.unfinished.all().map(requestOf)
  }

  /** The one that is to begin first. */
  next(): { id: string; nextMs: number } | undefined {
    const row = this.#sql.next.get()
    return row === undefined ? undefined : { id: row.id, nextMs: row.next_ms }
  }

  /** A job was given to it. */
  setJob(id: string, job: string): void {
    this.#state.writeRelaxed(() => this.#sql.setJob.run(job, id))
  }

  /** It is worked on, or waits for the next try. */
  setPinning(id: string, reason: string | null): void {
    this.#state.writeRelaxed(() => this.#sql.setPinning.run(reason, id))
  }

  /** The next try is at `nextMs`; null: not by itself. */
  setNext(id: string, nextMs: number | null): void {
    this.#state.writeRelaxed(() => this.#sql.setNext.run(nextMs, id))
  }

  /** Durable when it resolves. */
  async setEnded(id: string, status: 'pinned' | 'failed', reason: string | null): Promise<void> {
    await this.#state.write(() => this.#sql.setEnded.run(status, reason, id))
  }

  /** Durable when it resolves. */
  async remove(id: string): Promise<void> {
    await this.#state.write(() => this.#sql.remove.run(id))
  }
}

/** Without case, in any alphabet. */
export const folded = (text: string): string => text.normalize('NFC').toLowerCase()

/** The same CID, whatever its version and base. */
export const normalized = (cid: string): string => CID.parse(cid).toV1().toString()

interface Row {
  id: string
  cid: string
  name: string | null
  origins: string
  meta: string | null
  status: PinRequestStatus
  reason: string | null
  created_ms: number
  tries: number
  job: string | null
  next_ms: number | null
}

function requestOf(row: Row): StoredRequest {
  return {
    id: row.id,
    cid: row.cid,
    name: row.name,
    origins: JSON.parse(row.origins) as string[],
    meta: row.meta === null ? null : (JSON.parse(row.meta) as Record<string, string>),
    status: row.status,
    reason: row.reason,
    createdMs: row.created_ms,
    tries: row.tries,
    job: row.job,
    nextMs: row.next_ms,
  }
}

/** Every value is bound, none stands in the text. */
function conditionsOf(query: PinRequestQuery): { where: string; values: unknown[] } {
  const { cids, name, match = 'exact', statuses, beforeMs, afterMs, meta = {} } = query
  const conditions: string[] = [`status IN (${placeholders(statuses.length)})`]
  const values: unknown[] = [...statuses]
  const add = (condition: string, ...more: unknown[]): void => {
    conditions.push(condition)
    values.push(...more)
  }
  if (cids !== undefined) add(`cid_v1 IN (${placeholders(cids.length)})`, ...cids.map(normalized))
  if (name !== undefined) {
    if (match === 'exact') add('name = ?', name)
    else if (match === 'iexact') add('name_folded = ?', folded(name))
    else if (match === 'partial') add('instr(name, ?) > 0', name)
    else add('instr(name_folded, ?) > 0', folded(name))
  }
  if (beforeMs !== undefined) add('created_ms < ?', beforeMs)
  if (afterMs !== undefined) add('created_ms > ?', afterMs)
  for (const [key, value] of Object.entries(meta))
    add('EXISTS (SELECT 1 FROM json_each(pin_request.meta) WHERE key = ? AND value = ?)', key, value)
  return { where: conditions.join(' AND '), values }
}

const placeholders = (count: number): string => Array.from({ length: count }, () => '?').join(', ')

function prepare({ db }: Pick<StateDatabase, 'db'>) {
  const query = <Parameters extends unknown[] | object, Result>(
    text: string,
  ): Statement<Parameters extends unknown[] ? Parameters : [Parameters], Result> =>
    db.prepare(text) as unknown as Statement<Parameters extends unknown[] ? Parameters : [Parameters], Result>
  return {
    count: query<[], { count: number }>('SELECT count(*) AS count FROM pin_request'),
    newest: query<[], { created_ms: number | null }>('SELECT max(created_ms) AS created_ms FROM pin_request'),
    insert: query<object, never>(
      `INSERT INTO pin_request (id, cid, cid_v1, name, name_folded, origins, meta, status, created_ms, next_ms)
       VALUES (@id, @cid, @cid_v1, @name, @name_folded, @origins, @meta, 'queued', @created_ms, @next_ms)`,
    ),
    get: query<[string], Row>('SELECT * FROM pin_request WHERE id = ?'),
    unfinished: query<[], Row>(
      "SELECT * FROM pin_request WHERE status IN ('queued', 'pinning') ORDER BY created_ms",
    ),
    next: query<[], { id: string; next_ms: number }>(
      'SELECT id, next_ms FROM pin_request WHERE next_ms IS NOT NULL ORDER BY next_ms, created_ms LIMIT 1',
    ),
    setJob: query<[string, string], never>(
      'UPDATE pin_request SET job = ?, next_ms = NULL, tries = tries + 1 WHERE id = ?',
    ),
    setPinning: query<[string | null, string], never>(
      "UPDATE pin_request SET status = 'pinning', reason = ? WHERE id = ?",
    ),
    setNext: query<[number | null, string], never>(
      'UPDATE pin_request SET job = NULL, next_ms = ? WHERE id = ?',
    ),
    setEnded: query<[string, string | null, string], never>(
      'UPDATE pin_request SET status = ?, reason = ?, job = NULL, next_ms = NULL WHERE id = ?',
    ),
    remove: query<[string], never>('DELETE FROM pin_request WHERE id = ?'),
  }
}
