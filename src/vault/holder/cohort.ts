import type { SlabId } from '../../../protocols/chunk/types.ts'
import type { StateDatabase } from '../../storage/state/types.ts'
import { CO_HOLDER_FORGOTTEN_MS, MAX_CO_HOLDERS } from './limits.ts'

/** How often an answer is noted. */
const ANSWERED_STEP_MS = 3_600_000

interface PeerRow {
  peer: string
  answered_ms: number | null
}

/** One look at a column of a co-holder. */
export interface Look {
  slab: SlabId
  column: number
  proven: boolean
}

/**
 * What this node knows of those who hold other columns of its slabs, in state.db: peers of each group, and the columns
 * that were not proven lately. While all is well a look writes nothing.
 *
 * Everything here can be learned again (hints, the DHT, answers), so writes are relaxed.
 */
export class Cohort {
  readonly #state: Pick<StateDatabase, 'db' | 'writeRelaxed'>
  readonly #nowMs: () => number
  readonly #statements

  constructor(state: Pick<StateDatabase, 'db' | 'writeRelaxed'>, nowMs: () => number) {
    this.#state = state
    this.#nowMs = nowMs
    const { db } = state
    this.#statements = {
      peers: db.prepare<[SlabId], PeerRow>(
        // Who has answered comes before who was only named, and of those the latest.
        `SELECT peer, answered_ms FROM co_holder WHERE slab_group = ?
         ORDER BY answered_ms IS NULL, answered_ms DESC, told_ms DESC`,
      ),
      insert: db.prepare<[SlabId, string, number]>(
        'INSERT INTO co_holder (slab_group, peer, told_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
      ),
      answered: db.prepare<[SlabId, string, number, number]>(
        `INSERT INTO co_holder (slab_group, peer, told_ms, answered_ms) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET answered_ms = excluded.answered_ms`,
      ),
      forgetPeer: db.prepare<[SlabId, string]>('DELETE FROM co_holder WHERE slab_group = ? AND peer = ?'),
      forgetGroup: db.prepare<[SlabId]>('DELETE FROM co_holder WHERE slab_group = ?'),
      silent: db.prepare<[SlabId, number]>(
        'SELECT 1 FROM co_holder WHERE slab_group = ? AND max(told_ms, ifnull(answered_ms, 0)) < ? LIMIT 1',
      ),
      forgetSilent: db.prepare<[SlabId, number]>(
        'DELETE FROM co_holder WHERE slab_group = ? AND max(told_ms, ifnull(answered_ms, 0)) < ?',
      ),
      doubt: db.prepare<[SlabId, number], { misses: number }>(
        'SELECT misses FROM column_doubt WHERE slab = ? AND column_number = ?',
      ),
      doubtful: db.prepare<[], { columns: number }>(
        'SELECT count(*) AS columns FROM column_doubt WHERE misses >= 2',
      ),
      miss: db.prepare<[SlabId, number, number]>(
        `INSERT INTO column_doubt (slab, column_number, misses, since_ms) VALUES (?, ?, 1, ?)
         ON CONFLICT DO UPDATE SET misses = misses + 1`,
      ),
      clear: db.prepare<[SlabId, number]>('DELETE FROM column_doubt WHERE slab = ? AND column_number = ?'),
      clearSlab: db.prepare<[SlabId]>('DELETE FROM column_doubt WHERE slab = ?'),
    }
  }

  /** Peers of the group as text, the likeliest first. */
  peers(group: SlabId): string[] {
    return this.#statements.peers.all(group).map(({ peer }) => peer)
  }

  /** Somebody says that these keep columns of the group. Of too many, those that never answered go. */
  told(group: SlabId, peers: readonly string[]): void {
    const known = this.#statements.peers.all(group)
    const names = new Set(known.map(({ peer }) => peer))
    const added = peers.filter((peer) => !names.has(peer)).slice(0, MAX_CO_HOLDERS)
    if (added.length === 0) return
    const unheard = known.filter((row) => row.answered_ms === null)
    const over = Math.max(0, known.length + added.length - MAX_CO_HOLDERS)
    const replaced = unheard.slice(Math.max(0, unheard.length - over))
    const room = MAX_CO_HOLDERS - known.length + replaced.length
    this.#state.writeRelaxed(() => {
      for (const { peer } of replaced) this.#statements.forgetPeer.run(group, peer)
      for (const peer of added.slice(0, room)) this.#statements.insert.run(group, peer, this.#nowMs())
    })
  }

  /**
   * The peers themselves say that they hold columns of the group. Written at most once an hour for each: it only says whom
   * to ask first.
   */
  answered(group: SlabId, peers: Iterable<string>): void {
    const nowMs = this.#nowMs()
    const known = new Map(this.#statements.peers.all(group).map((row) => [row.peer, row.answered_ms]))
    const news = [...peers].filter((peer) => {
      const answeredMs = known.get(peer)
      if (answeredMs === undefined) return known.size < 2 * MAX_CO_HOLDERS
      return answeredMs === null || Math.abs(nowMs - answeredMs) > ANSWERED_STEP_MS
    })
    if (news.length === 0) return
    this.#state.writeRelaxed(() => {
      for (const peer of news) this.#statements.answered.run(group, peer, nowMs, nowMs)
    })
  }

  /** Lets go of peers of the group that have not answered for 30 days. */
  forgetSilent(group: SlabId): void {
    const beforeMs = this.#nowMs() - CO_HOLDER_FORGOTTEN_MS
    const isSilent = this.#statements.silent.get(group, beforeMs) !== undefined
    if (isSilent) this.#state.writeRelaxed(() => this.#statements.forgetSilent.run(group, beforeMs))
  }

  /** Nothing of the group is held here any more. */
  forget(group: SlabId): void {
    this.#state.writeRelaxed(() => this.#statements.forgetGroup.run(group))
  }

  forgetSlab(slab: SlabId): void {
    this.#state.writeRelaxed(() => this.#statements.clearSlab.run(slab))
  }

  /** Notes looks at columns and gives, for each that was not proven, how many looks in a row that makes. */
  note(looks: readonly Look[]): { look: Look; misses: number }[] {
    const changes = looks.filter(
      (look) => !look.proven || this.#statements.doubt.get(look.slab, look.column) !== undefined,
    )
    if (changes.length === 0) return []
    return this.#state.writeRelaxed(() => {
      const missed: { look: Look; misses: number }[] = []
      for (const look of changes) {
        if (look.proven) {
          this.#statements.clear.run(look.slab, look.column)
          continue
        }
        this.#statements.miss.run(look.slab, look.column, this.#nowMs())
        missed.push({ look, misses: this.#statements.doubt.get(look.slab, look.column)?.misses ?? 1 })
      }
      return missed
    })
  }

  /** Columns of others that this node could not prove for two looks. */
  doubtfulColumns(): number {
    return this.#statements.doubtful.get()?.columns ?? 0
  }
}
