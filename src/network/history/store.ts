import type { StateDatabase } from '../../storage/state/types.ts'
import { GIVEN_UP_AFTER_MS, GIVEN_UP_FAILURES, KEPT_ROWS, MAX_ROWS, PRUNE_ROWS } from './limits.ts'
import type { KnownPeer } from './types.ts'

/** What the history needs of state.db. */
export type HistoryState = Pick<StateDatabase, 'db' | 'writeRelaxed'>

interface Row {
  peer: string
  addresses: string
  first_seen_ms: number
  last_seen_ms: number
  successes: number
  failures: number
  failures_in_row: number
  bytes_in: number
  bytes_out: number
  latency_ms: number | null
  agent: string | null
}

/** The table `peer`. */
export class HistoryStore {
  readonly #state: HistoryState
  readonly #now: () => number
  readonly #statements

  constructor(state: HistoryState, now: () => number) {
    this.#state = state
    this.#now = now
    const { db } = state
    this.#statements = {
      get: db.prepare<[string], Row>('SELECT * FROM peer WHERE peer = ?'),
      // A peer was first seen no later than now, whatever the clock said then.
      put: db.prepare<[Row]>(
        `INSERT INTO peer VALUES (@peer, @addresses, @first_seen_ms, @last_seen_ms, @successes, @failures,
           @failures_in_row, @bytes_in, @bytes_out, @latency_ms, @agent)
         ON CONFLICT (peer) DO UPDATE SET addresses = excluded.addresses,
           first_seen_ms = min(first_seen_ms, excluded.last_seen_ms), last_seen_ms = excluded.last_seen_ms,
           successes = excluded.successes, failures = excluded.failures,
           failures_in_row = excluded.failures_in_row, bytes_in = excluded.bytes_in, bytes_out = excluded.bytes_out,
           latency_ms = excluded.latency_ms, agent = excluded.agent`,
      ),
      recent: db.prepare<[number], Row>('SELECT * FROM peer ORDER BY last_seen_ms DESC, peer LIMIT ?'),
      // Those that answered last come first; where some did not, the more often the later.
      dialable: db.prepare<[number], Row>(
        `SELECT * FROM peer WHERE addresses <> '[]' AND successes > 0
         ORDER BY failures_in_row, last_seen_ms DESC LIMIT ?`,
      ),
      count: db.prepare<[], number>('SELECT count(*) FROM peer').pluck(),
      prune: db.prepare<[{ before: number; givenUp: number; kept: number; over: number; rows: number }]>(
        `DELETE FROM peer WHERE peer IN (
           SELECT peer FROM peer
           WHERE (last_seen_ms < @before OR (failures_in_row >= ${GIVEN_UP_FAILURES} AND last_seen_ms < @givenUp)
               OR peer IN (SELECT peer FROM peer ORDER BY last_seen_ms LIMIT @over))
             AND peer NOT IN (SELECT peer FROM peer ORDER BY last_seen_ms DESC LIMIT @kept)
           LIMIT @rows)`,
      ),
    }
  }

  get(peer: string): KnownPeer | undefined {
    const row = this.#statements.get.get(peer)
    return row === undefined ? undefined : this.#known(row)
  }

  /** Writes the rows in one small transaction, and not to the disk at once: to lose the last ones means little. */
  put(peers: readonly KnownPeer[]): void {
    this.#state.writeRelaxed(() => {
      for (const known of peers) {
        this.#statements.put.run({
          peer: known.peer,
          addresses: JSON.stringify(known.addresses),
          first_seen_ms: known.firstSeenMs,
          last_seen_ms: known.lastSeenMs,
          successes: known.successes,
          failures: known.failures,
          failures_in_row: known.failuresInRow,
          bytes_in: known.bytesIn,
          bytes_out: known.bytesOut,
          latency_ms: known.latencyMs,
          agent: known.agent,
        })
      }
    })
  }

  recent(limit: number): KnownPeer[] {
    return this.#statements.recent.all(limit).map((row) => this.#known(row))
  }

  dialable(limit: number): KnownPeer[] {
    return this.#statements.dialable.all(limit).map((row) => this.#known(row))
  }

  /** Removes one step of what is too old or too much. True when there may be more. */
  prune(retentionMs: number): boolean {
    const now = this.#now()
    const count = this.#statements.count.get() ?? 0
    if (count <= KEPT_ROWS) return false
    let removed = 0
    this.#state.writeRelaxed(() => {
      removed = this.#statements.prune.run({
        before: now - retentionMs,
        givenUp: now - GIVEN_UP_AFTER_MS,
        kept: KEPT_ROWS,
        over: Math.max(0, count - MAX_ROWS),
        rows: PRUNE_ROWS,
      }).changes
    })
    return removed === PRUNE_ROWS
  }

  /** Times from a clock that was ahead count as now. */
  #known(row: Row): KnownPeer {
    const now = this.#now()
    return {
      peer: row.peer,
      addresses: JSON.parse(row.addresses) as string[],
      firstSeenMs: Math.min(row.first_seen_ms, now),
      lastSeenMs: Math.min(row.last_seen_ms, now),
      successes: row.successes,
      failures: row.failures,
      failuresInRow: row.failures_in_row,
      bytesIn: row.bytes_in,
      bytesOut: row.bytes_out,
      latencyMs: row.latency_ms,
      agent: row.agent,
    }
  }
}
