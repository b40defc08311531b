import { Followers } from './followers.ts'
import { COLD, type Heat, heatAt, warmed } from './heat.ts'
import { HALF_LIFE_MS, HOT_HEAT, MAX_ROOTS, SAME_READING_MS, TRUSTED_SCORE } from './limits.ts'
import type { CacheStrategy } from './types.ts'

/** What is known of one root that may be evicted. */
export interface CachedRoot {
  bytes: number
  heat: Heat
  lastMs: number
  /** Who brought it; empty where nobody can be named. */
  source: string
}

export interface ModelOptions {
  strategy: CacheStrategy
  /** The score of a peer, in [0, 1]; asked when something is to go, so that it follows what is learned of peers. */
  scoreOf: (source: string) => number
  halfLifeMs?: number
  maxRoots?: number
}

/** How many of the last readings say what is likely to be read next. */
const LATELY = 8

/**
 * Decides what goes, what is worth memory and what is likely to be read next. Pure: it is told what happens and when, and
 * holds no bytes itself.
 */
export class CacheModel {
  readonly #options: ModelOptions
  readonly #halfLifeMs: number
  readonly #maxRoots: number
  readonly #roots = new Map<string, CachedRoot>()
  /** Heat of what is not held too: what was evicted and comes again is known. In the order of the last reading. */
  readonly #heats = new Map<string, Heat>()
  readonly #followers = new Followers()
  #lately: string[] = []

  constructor(options: ModelOptions) {
    this.#options = options
    this.#halfLifeMs = options.halfLifeMs ?? HALF_LIFE_MS
    this.#maxRoots = options.maxRoots ?? MAX_ROOTS
  }

  get size(): number {
    return this.#roots.size
  }

  has(key: string): boolean {
    return this.#roots.has(key)
  }

  get(key: string): CachedRoot | undefined {
    return this.#roots.get(key)
  }

  /** Somebody reads it, whether or not it is held. */
  read(key: string, nowMs: number): void {
    // A film that is seen is asked for in hundreds of parts.
    const before = this.#heats.get(key)
    if (this.#lately[0] === key && before !== undefined && nowMs - before.atMs < SAME_READING_MS) return
    const heat = warmed(before ?? COLD, nowMs, this.#halfLifeMs)
    this.#heats.delete(key)
    this.#heats.set(key, heat)
    if (this.#heats.size > 2 * this.#maxRoots) {
      const oldest = this.#heats.keys().next()
      if (oldest.done !== true) this.#heats.delete(oldest.value)
    }
    this.#followers.read(key, nowMs)
    this.#lately = [key, ...this.#lately.filter((other) => other !== key)].slice(0, LATELY)
    const root = this.#roots.get(key)
    if (root === undefined) return
    root.heat = heat
    root.lastMs = nowMs
  }

  /** It is held now. Returns what is forgotten for it where too many are known: that goes at the next collection. */
  hold(
    key: string,
    { bytes, source }: Pick<CachedRoot, 'bytes' | 'source'>,
    nowMs: number,
  ): string | undefined {
    const heat = this.#heats.get(key) ?? { value: 0, atMs: nowMs }
    const known = this.#roots.get(key)
    this.#roots.set(key, { bytes, source, heat, lastMs: known?.lastMs ?? nowMs })
    if (this.#roots.size <= this.#maxRoots) return undefined
    const [coldest] = this.victims(nowMs).filter((other) => other !== key)
    if (coldest !== undefined) this.#roots.delete(coldest)
    return coldest
  }

  /** As it was before a restart. */
  restore(key: string, root: CachedRoot): void {
    this.#roots.set(key, root)
    this.#heats.set(key, root.heat)
  }

  drop(key: string): void {
    this.#roots.delete(key)
  }

  /** Roots in the order in which they go. */
  victims(nowMs: number): string[] {
    const rank = this.#ranking(nowMs)
    return [...this.#roots]
      .map(([key, root]) => ({ key, root, rank: rank(key, root) }))
      .toSorted((a, b) => a.rank - b.rank || a.root.lastMs - b.root.lastMs || (a.key < b.key ? -1 : 1))
      .map(({ key }) => key)
  }

  /** Whether reading it again from the disk is likely enough to keep it in memory. */
  isHot(key: string, nowMs: number): boolean {
    if (this.#options.strategy === 'lru') return true
    return heatAt(this.#heats.get(key) ?? COLD, nowMs, this.#halfLifeMs) >= HOT_HEAT
  }

  /** What is likely to be read after it; nothing unless the strategy predicts. */
  next(key: string): { key: string; share: number }[] {
    return this.#options.strategy === 'predictive' ? this.#followers.after(key) : []
  }

  #ranking(nowMs: number): (key: string, root: CachedRoot) => number {
    switch (this.#options.strategy) {
      case 'lru':
        return (_, { lastMs }) => lastMs
      case 'trust': {
        const scores = new Map<string, number>()
        return (_, { source }) => {
          let score = scores.get(source)
          if (score === undefined) {
            score = source === '' ? TRUSTED_SCORE : Math.min(this.#options.scoreOf(source), TRUSTED_SCORE)
            scores.set(source, score)
          }
          return score
        }
      }
      case 'predictive': {
        // Expected before long: worth as much as having been read so often, by the share in which it follows.
        const expected = new Map<string, number>()
        for (const recent of this.#lately)
          for (const { key, share } of this.#followers.after(recent))
            expected.set(key, Math.max(expected.get(key) ?? 0, share))
        return (key, { heat }) => heatAt(heat, nowMs, this.#halfLifeMs) + (expected.get(key) ?? 0)
      }
    }
  }
}
