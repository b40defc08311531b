import type { StateDatabase } from '../../storage/state/types.ts'
import type { Learned } from './learn.ts'
import { MAX_ROWS, PRUNE_ROWS } from './limits.ts'

/** What the router needs of state.db. */
export type RouterState = Pick<StateDatabase, 'db' | 'writeRelaxed'>

interface Row {
  source: string
  successes: number
  failures: number
  bytes: number
  transfer_ms: number
  latency_ms: number | null
  claims_kept: number
  claims_broken: number
  at_ms: number
}

/** The table `source`. */
export class SourceStore {
  readonly #state: RouterState
  readonly #statements

  constructor(state: RouterState) {
    this.#state = state
    const { db } = state
    this.#statements = {
      get: db.prepare<[string], Row>('SELECT * FROM source WHERE source = ?'),
      put: db.prepare<[Row]>(
        `INSERT OR REPLACE INTO source VALUES (@source, @successes, @failures, @bytes, @transfer_ms, @latency_ms,
           @claims_kept, @claims_broken, @at_ms)`,
      ),
      count: db.prepare<[], number>('SELECT count(*) FROM source').pluck(),
      prune: db.prepare<[number]>(
        'DELETE FROM source WHERE source IN (SELECT source FROM source ORDER BY at_ms LIMIT ?)',
      ),
    }
  }

  get(source: string): Learned | undefined {
    const row = this.#statements.get.get(source)
    if (row === undefined) return undefined
    return {
      successes: row.successes,
      failures: row.failures,
      bytes: row.bytes,
      transferMs: row.transfer_ms,
      latencyMs: row.latency_ms,
      claimsKept: row.claims_kept,
      claimsBroken: row.claims_broken,
      atMs: row.at_ms,
    }
  }

  /** Writes the rows in one small transaction, and not to the disk at once: to lose the last ones means little. */
  put(rows: Iterable<readonly [string, Learned]>): void {
    this.#state.writeRelaxed(() => {
      for (const [source, learned] of rows) {
        this.#statements.put.run({
          source,
          successes: learned.successes,
          failures: learned.failures,
          bytes: learned.bytes,
          transfer_ms: learned.transferMs,
          latency_ms: learned.latencyMs,
          claims_kept: learned.claimsKept,
          claims_broken: learned.claimsBroken,
          at_ms: learned.atMs,
        })
      }
    })
  }

  /** Forgets those of whom nothing was heard for longest, as many as are too many. */
  prune(): void {
    const over = (this.#statements.count.get() ?? 0) - MAX_ROWS
    if (over > 0) this.#state.writeRelaxed(() => this.#statements.prune.run(Math.min(over, PRUNE_ROWS)))
  }
}
