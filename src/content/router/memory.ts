import { LRUCache } from 'lru-cache'
import type { Logger } from '../../telemetry/types.ts'
import type { Claim } from '../capabilities/index.ts'
import { decayed, learn, type Learned, unknown } from './learn.ts'
import { MAX_CACHED, MAX_PENDING, MAX_SOURCE_CHARACTERS, WRITE_AFTER_MS, WRITE_ROWS } from './limits.ts'
import { type RouterState, SourceStore } from './store.ts'
import type { Candidate, Outcome } from './types.ts'

export interface SourceMemoryOptions {
  state: RouterState
  halfLifeMs: number
  log: Logger
  /** Milliseconds since the Unix epoch; tests pass their own. */
  now?: () => number
}

/** What is learned about sources, kept in state.db: gathered, and written later in small batches. Never throws. */
export class SourceMemory {
  readonly #store: SourceStore
  readonly #halfLifeMs: number
  readonly #log: Logger
  readonly #now: () => number
  readonly #cache = new LRUCache<string, { learned: Learned | undefined }>({ max: MAX_CACHED })
  readonly #pending = new Map<string, Learned>()
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor({ state, halfLifeMs, log, now = Date.now }: SourceMemoryOptions) {
    this.#store = new SourceStore(state)
    this.#halfLifeMs = halfLifeMs
    this.#log = log
    this.#now = now
  }

  /** As of now. */
  get(source: Candidate): Learned | undefined {
    const learned = this.#read(keyOf(source))
    return learned === undefined ? undefined : decayed(learned, this.#now(), this.#halfLifeMs)
  }

  learn(outcome: Outcome, claim: Claim): void {
    const key = keyOf(outcome)
    if (key.length > MAX_SOURCE_CHARACTERS) return
    const now = this.#now()
    const known = decayed(this.#read(key) ?? unknown(now), now, this.#halfLifeMs)
    const learned = learn(known, outcome, claim)
    this.#cache.set(key, { learned })
    this.#pending.set(key, learned)
    if (this.#isStopped || this.#pending.size >= MAX_PENDING) this.#write()
    else this.#timer ??= setTimeout(() => this.#write(), WRITE_AFTER_MS).unref()
  }

  /** Writes what is left. What is learned from now on is written at once. */
  stop(): void {
    this.#isStopped = true
    this.#write()
  }

  #read(key: string): Learned | undefined {
    const cached = this.#cache.get(key)
    if (cached !== undefined) return cached.learned
    let learned: Learned | undefined
    try {
      learned = this.#store.get(key)
    } catch (error) {
      this.#log.warn({ err: error }, 'what was learned about a source could not be read')
    }
    this.#cache.set(key, { learned })
    return learned
  }

  /** A disk that refuses is no reason to stop: what was learned lives until the process ends. */
  #write(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const rows = [...this.#pending]
    this.#pending.clear()
    try {
      for (let at = 0; at < rows.length; at += WRITE_ROWS) this.#store.put(rows.slice(at, at + WRITE_ROWS))
      if (rows.length > 0) this.#store.prune()
    } catch (error) {
      this.#log.warn(
        { err: error, sources: rows.length },
        'what was learned about sources could not be written',
      )
    }
  }
}

/** A peer is the same source however it was found; as a proxy it is another. */
function keyOf({ kind, id }: Candidate): string {
  return kind === 'peer' || kind === 'provider' ? id : `${kind} ${id}`
}
