export interface Rate {
  perSecond: number
  /** Tokens of a full bucket: what may come at once after a silence. */
  burst: number
}

/**
 * Token buckets by key, with a bound on how many keys are remembered. A key that was not seen for long enough to have a
 * full bucket again is the first to be forgotten, so that forgetting changes nothing for it; over the bound the longest
 * unseen goes.
 */
export class RateLimits {
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>()
  readonly #maxKeys: number
  readonly #now: () => number

  constructor(maxKeys: number, now: () => number) {
    this.#maxKeys = maxKeys
    this.#now = now
  }

  /** Takes a token, or so many; false where there are not enough, and then none is taken. */
  take(key: string, rate: Rate, count = 1): boolean {
    const nowMs = this.#now()
    const tokens = this.#tokens(key, rate, nowMs)
    // Taken out and put in again, so that the map's order is the order of last use.
    this.#buckets.delete(key)
    const oldest = this.#buckets.keys().next()
    if (this.#buckets.size >= this.#maxKeys && oldest.done !== true) {
      this.#buckets.delete(oldest.value)
    }
    this.#buckets.set(key, { tokens: tokens >= count ? tokens - count : tokens, atMs: nowMs })
    return tokens >= count
  }

  /** How long it is until there is a token. Takes none. */
  waitMs(key: string, rate: Rate): number {
    return Math.max(0, ((1 - this.#tokens(key, rate, this.#now())) * 1_000) / rate.perSecond)
  }

  get size(): number {
    return this.#buckets.size
  }

  #tokens(key: string, { perSecond, burst }: Rate, nowMs: number): number {
    const known = this.#buckets.get(key)
    if (known === undefined) return burst
    return Math.min(burst, known.tokens + (Math.max(0, nowMs - known.atMs) * perSecond) / 1_000)
  }
}
