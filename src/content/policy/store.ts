import type { Database } from 'better-sqlite3'
import { CID } from 'multiformats/cid'
import type { StateDatabase } from '../../storage/state/types.ts'
import { MAX_POLICIES } from './limits.ts'
import type { PolicyRecord, PolicyRule } from './types.ts'

/** The policy under which stands what was fetched since it was announced, and is not pinned. */
export const NO_POLICY = 0

export interface PolicyItem {
  policy: number
  cid: CID
  peer: string
  bytes: number
  isKept: boolean
  atMs: number
  untilMs: number | null
}

interface ItemRow {
  policy: number
  cid: Uint8Array
  peer: string
  bytes: number
  kept: number
  at_ms: number
  until_ms: number | null
}

/** Policies and what they keep, in state.db; a few rows a minute, so that each write is its own. */
export class PolicyStore {
  readonly #state: StateDatabase

  constructor(state: StateDatabase) {
    this.#state = state
  }

  get #db(): Database {
    return this.#state.db
  }

  policies(): PolicyRecord[] {
    return this.#db
      .prepare<[], { id: number; rule: string; created_ms: number }>('SELECT * FROM pin_policy ORDER BY id')
      .all()
      .map(({ id, rule, created_ms }) => ({
        id,
        rule: JSON.parse(rule) as PolicyRule,
        createdAtMs: created_ms,
      }))
  }

  /** Undefined where there are as many as may be. */
  async add(rule: PolicyRule, nowMs: number): Promise<number | undefined> {
    return this.#state.write(() => {
      const count = this.#db.prepare<[], number>('SELECT count(*) FROM pin_policy').pluck().get() ?? 0
      if (count >= MAX_POLICIES) return undefined
      const insert = this.#db.prepare('INSERT INTO pin_policy (rule, created_ms) VALUES (?, ?)')
      return Number(insert.run(JSON.stringify(rule), nowMs).lastInsertRowid)
    })
  }

  async remove(id: number): Promise<void> {
    await this.#state.write(() => this.#db.prepare('DELETE FROM pin_policy WHERE id = ?').run(id))
  }

  item(policy: number, cid: CID): PolicyItem | undefined {
    const row = this.#db
      .prepare<[number, Uint8Array], ItemRow>('SELECT * FROM policy_item WHERE policy = ? AND cid = ?')
      .get(policy, cid.bytes)
    return row === undefined ? undefined : toItem(row)
  }

  /** By the end of their time, those first that end first; then by when they came. */
  items(policy: number, limit: number): PolicyItem[] {
    return this.#db
      .prepare<[number, number], ItemRow>(
        'SELECT * FROM policy_item WHERE policy = ? ORDER BY until_ms, at_ms LIMIT ?',
      )
      .all(policy, limit)
      .map(toItem)
  }

  use(policy: number, sinceMs = 0): { items: number; bytes: number } {
    return (
      this.#db
        .prepare<[number, number], { items: number; bytes: number }>(
          'SELECT count(*) AS items, coalesce(sum(bytes), 0) AS bytes FROM policy_item WHERE policy = ? AND at_ms >= ?',
        )
        .get(policy, sinceMs) ?? { items: 0, bytes: 0 }
    )
  }

  put({ policy, cid, peer, bytes, isKept, atMs, untilMs }: PolicyItem): void {
    this.#state.writeRelaxed(() =>
      this.#db
        .prepare('INSERT OR REPLACE INTO policy_item VALUES (?, ?, ?, ?, ?, ?, ?)')
        .run(policy, cid.bytes, peer, bytes, isKept ? 1 : 0, atMs, untilMs),
    )
  }

  drop(policy: number, cid: CID): void {
    this.#state.writeRelaxed(() =>
      this.#db.prepare('DELETE FROM policy_item WHERE policy = ? AND cid = ?').run(policy, cid.bytes),
    )
  }

  forget(policy: number, beforeMs: number): void {
    this.#state.writeRelaxed(() =>
      this.#db.prepare('DELETE FROM policy_item WHERE policy = ? AND at_ms < ?').run(policy, beforeMs),
    )
  }

  expired(nowMs: number, limit: number): PolicyItem[] {
    return this.#db
      .prepare<[number, number], ItemRow>(
        'SELECT * FROM policy_item WHERE until_ms <= ? ORDER BY until_ms LIMIT ?',
      )
      .all(nowMs, limit)
      .map(toItem)
  }

  nextExpiryMs(): number | undefined {
    return (
      this.#db.prepare<[], number | null>('SELECT min(until_ms) FROM policy_item').pluck().get() ?? undefined
    )
  }
}

function toItem(row: ItemRow): PolicyItem {
  return {
    policy: row.policy,
    cid: CID.decode(row.cid),
    peer: row.peer,
    bytes: row.bytes,
    isKept: row.kept === 1,
    atMs: row.at_ms,
    untilMs: row.until_ms,
  }
}
