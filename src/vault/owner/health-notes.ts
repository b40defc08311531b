import type { StateDatabase } from '../../storage/state/index.ts'
import { LIVE_INTERVALS } from '../health/limits.ts'
import type { Health, VaultReport } from '../types.ts'

export interface HealthNote {
  state: Health['state']
  measuredMs: number
}

/**
 * What was last measured of each object, by whom this node's owner asked or by its own audits, in state.db. It counts for as long
 * as the proofs that it was made of: two intervals. Writes are relaxed, as all of it can be measured again.
 */
export class HealthNotes {
  readonly #state: Pick<StateDatabase, 'db' | 'writeRelaxed'>
  readonly #freshMs: number
  readonly #now: () => number
  readonly #put
  readonly #all
  readonly #counts
  readonly #forget

  constructor(
    state: Pick<StateDatabase, 'db' | 'writeRelaxed'>,
    intervalMs: number,
    now: () => number = Date.now,
  ) {
    this.#state = state
    this.#freshMs = LIVE_INTERVALS * intervalMs
    this.#now = now
    const { db } = state
    this.#put = db.prepare<[string, string, number]>(
      `INSERT INTO owner_health (object, state, measured_ms) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET state = excluded.state, measured_ms = excluded.measured_ms`,
    )
    this.#all = db.prepare<[], HealthNote & { object: string }>(
      'SELECT object, state, measured_ms AS measuredMs FROM owner_health',
    )
    this.#counts = db.prepare<[number], { state: keyof VaultReport['health']; count: number }>(
      `SELECT coalesce(h.state, 'unknown') AS state, count(*) AS count FROM owner_object o
       LEFT JOIN owner_health h ON h.object = o.id AND h.measured_ms >= ?
       WHERE o.state IN ('stored', 'degraded') GROUP BY 1`,
    )
    this.#forget = db.prepare('DELETE FROM owner_health WHERE object NOT IN (SELECT id FROM owner_object)')
  }

  note(object: string, state: Health['state']): void {
    this.#state.writeRelaxed(() => this.#put.run(object, state, Math.floor(this.#now())))
  }

  /** By object. */
  all(): Map<string, HealthNote> {
    return new Map(this.#all.all().map(({ object, ...note }) => [object, note]))
  }

  /** The state that still counts. */
  standing(note: HealthNote | undefined): Health['state'] | 'unknown' {
    return note !== undefined && note.measuredMs >= this.#now() - this.#freshMs ? note.state : 'unknown'
  }

  /** How many objects are in which state. */
  counts(): VaultReport['health'] {
    const counts: VaultReport['health'] = { healthy: 0, degraded: 0, critical: 0, lost: 0, unknown: 0 }
    for (const { state, count } of this.#counts.all(this.#now() - this.#freshMs)) counts[state] = count
    return counts
  }

  /** Lets go of what was noted of objects that are gone. */
  forgetGone(): void {
    this.#state.writeRelaxed(() => this.#forget.run())
  }
}
