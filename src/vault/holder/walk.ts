import { setTimeout as sleep } from 'node:timers/promises'
import { slabKeyOf, slabOf } from '../../../protocols/chunk/format/index.ts'
import type { SlabId } from '../../../protocols/chunk/types.ts'
import type { Columns } from '../../storage/columns/types.ts'
import type { StateDatabase } from '../../storage/state/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import { WALK_MAX_COLUMNS, WALK_MAX_GROUPS, WALK_MAX_PAUSE_MS, WALK_MIN_PAUSE_MS } from './limits.ts'

const CURSOR_KEY = 'vault.audit.cursor'
/** How far a pause varies to either side, so that nodes that started together do not walk in step. */
const JITTER = 0.2
/** Until a node that holds nothing, or may conclude nothing, looks again. */
const IDLE_SHARE = 0.25

export interface WalkOptions {
  state: Pick<StateDatabase, 'db' | 'writeRelaxed'>
  columns: Pick<Columns, 'groups' | 'ofGroup' | 'usage'>
  intervalMs: number
  isSound: () => boolean
  /** Looks at groups; returns how many columns were looked at. */
  visit: (groups: readonly SlabId[], signal: AbortSignal) => Promise<number>
  log: Logger
  random?: () => number
}

/**
 * Goes over all groups once an interval, evenly: after a step it pauses for the share of the interval that the step's
 * columns have of all. A walk that falls behind takes longer than an interval rather than bursting. Its place survives a
 * restart, so that nobody is looked at twice within an interval because of it.
 */
export class Walk {
  readonly #options: Required<WalkOptions>
  readonly #stop = new AbortController()
  readonly #save
  #cursor: SlabId | undefined
  #running: Promise<void> | undefined

  constructor(options: WalkOptions) {
    this.#options = { random: Math.random, ...options }
    const { db } = options.state
    this.#save = db.prepare<[string, string]>(
      'INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    )
    const saved = db
      .prepare<[string], { value: string }>('SELECT value FROM setting WHERE key = ?')
      .get(CURSOR_KEY)
    this.#cursor = saved === undefined || saved.value === '' ? undefined : slabOf(saved.value)
  }

  start(): void {
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    const { intervalMs, random } = this.#options
    try {
      // The first step comes at some time within the share of one column.
      await sleep(this.#pauseMs(random()), undefined, { signal })
      for (;;) {
        const startedMs = performance.now()
        const columns = await this.#step(signal)
        const pauseMs =
          columns === 0 ? Math.min(intervalMs * IDLE_SHARE, WALK_MAX_PAUSE_MS) : this.#pauseMs(columns)
        const leftMs = pauseMs - (performance.now() - startedMs)
        await sleep(Math.max(WALK_MIN_PAUSE_MS, leftMs), undefined, { signal })
      }
    } catch (error) {
      if (!signal.aborted) this.#options.log.error({ err: error }, 'the walk over held columns ended')
    }
  }

  async #step(signal: AbortSignal): Promise<number> {
    const { visit, isSound, log } = this.#options
    if (!isSound()) return 0
    const groups = this.#next()
    if (groups.length === 0) return 0
    try {
      await visit(groups, signal)
    } catch (error) {
      signal.throwIfAborted()
      log.warn({ err: error }, 'a look at held columns failed')
    }
    // Moved on also after a failure: one group must not keep the others from being looked at.
    this.#moveTo(groups.at(-1))
    return groups.reduce((sum, group) => sum + this.#options.columns.ofGroup(group).length, 0)
  }

  /** The next groups, begun anew after the last one. */
  #next(): SlabId[] {
    const { columns } = this.#options
    let found = this.#after(this.#cursor)
    if (found.length === 0 && this.#cursor !== undefined) {
      this.#cursor = undefined
      found = this.#after(undefined)
    }
    const taken: SlabId[] = []
    let count = 0
    const limit = this.#stepColumns()
    for (const group of found) {
      count += columns.ofGroup(group).length
      if (taken.length > 0 && count > limit) break
      taken.push(group)
    }
    return taken
  }

  #after(cursor: SlabId | undefined): SlabId[] {
    const { columns } = this.#options
    return columns.groups({ ...(cursor === undefined ? {} : { after: cursor }), limit: WALK_MAX_GROUPS })
  }

  /** What is due within the shortest pause that is worth a step: a second, or a twentieth of a short interval. */
  #stepColumns(): number {
    const { columns, intervalMs } = this.#options
    const perMs = columns.usage().columns / intervalMs
    return Math.min(WALK_MAX_COLUMNS, Math.ceil(perMs * Math.min(1_000, intervalMs / 20)))
  }

  #moveTo(group: SlabId | undefined): void {
    const { state } = this.#options
    this.#cursor = group
    state.writeRelaxed(() => this.#save.run(CURSOR_KEY, group === undefined ? '' : slabKeyOf(group)))
  }

  #pauseMs(columns: number): number {
    const { intervalMs, random } = this.#options
    const all = Math.max(1, this.#options.columns.usage().columns)
    const evenMs = (intervalMs * Math.min(columns, all)) / all
    return evenMs * (1 - JITTER + 2 * JITTER * random())
  }
}
