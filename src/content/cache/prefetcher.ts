import { RateLimits } from '../../gossip/rate.ts'
import { MAX_PREFETCHES, PREFETCH_TIMEOUT_MS } from './limits.ts'

export interface PrefetcherOptions {
  /** Bytes that may be fetched ahead in a second, on average over a minute. 0: none. */
  bytesPerSecond: number
  /** Fetches the whole of it, unless it is held; resolves with what came over the network. */
  fetch: (key: string, options: { signal: AbortSignal; maxBytes: number }) => Promise<number>
  onPrefetched: (key: string) => void
  now?: () => number
}

/** Bytes of one token of the budget. */
const TOKEN_BYTES = 64 * 1024
const BURST_SECONDS = 60

/** Fetches ahead what is likely to be read next, within a budget of bytes, and never more than two at once. */
export class Prefetcher {
  readonly #options: PrefetcherOptions
  readonly #budget: RateLimits
  readonly #stop = new AbortController()
  readonly #running = new Map<string, Promise<void>>()

  constructor(options: PrefetcherOptions) {
    this.#options = options
    this.#budget = new RateLimits(1, options.now ?? (() => performance.now()))
  }

  /** Passed over where as many are under way as may be, or the budget is used up. */
  want(key: string, bytes: number): void {
    if (this.#stop.signal.aborted || this.#running.has(key) || this.#running.size >= MAX_PREFETCHES) return
    if (!this.#pay(bytes)) return
    const work = this.#fetch(key, bytes).finally(() => this.#running.delete(key))
    this.#running.set(key, work)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#running.values())
  }

  #pay(bytes: number): boolean {
    const perSecond = this.#options.bytesPerSecond / TOKEN_BYTES
    const rate = { perSecond, burst: perSecond * BURST_SECONDS }
    const tokens = Math.max(1, Math.ceil(bytes / TOKEN_BYTES))
    if (perSecond === 0 || tokens > rate.burst) return false
    for (let paid = 0; paid < tokens; paid++) if (!this.#budget.take('bytes', rate)) return false
    return true
  }

  async #fetch(key: string, maxBytes: number): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(PREFETCH_TIMEOUT_MS)])
    try {
      if ((await this.#options.fetch(key, { signal, maxBytes })) > 0) this.#options.onPrefetched(key)
    } catch {
      // Nobody waits for it: it is fetched when it is asked for.
    }
  }
}
