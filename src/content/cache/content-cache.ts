import { CID } from 'multiformats/cid'
import { forgetOldest } from '../../../protocols/shared/forget-oldest.ts'
import { evictDag } from './evictor.ts'
import type { Cache, CacheOptions } from './index.ts'
import {
  CHECK_EVERY_BYTES,
  LOW_SHARE,
  MAX_ARRIVED,
  MAX_LEASED_ROOTS,
  SAVE_AFTER_MS,
  SAVE_ROWS,
} from './limits.ts'
import { CacheModel } from './model.ts'
import { Prefetcher } from './prefetcher.ts'
import { CacheStore } from './store.ts'
import type { CacheStatistics, Reading } from './types.ts'

/** The model over real blocks: it is told of readings, and its choices are carried out. */
export class ContentCache implements Cache {
  readonly #options: CacheOptions
  readonly #store: CacheStore
  readonly #model: CacheModel
  readonly #prefetcher: Prefetcher
  readonly #now: () => number
  readonly #stop = new AbortController()
  /** Roots that have changed since they were written. */
  readonly #changed = new Set<string>()
  readonly #counts = { hits: 0, misses: 0, evictedRoots: 0, evictedBytes: 0, prefetchedRoots: 0 }
  /** Bytes of first blocks that came and whose reading has not ended. */
  readonly #arrived = new Map<string, number>()
  #saveTimer: NodeJS.Timeout | undefined
  #evicting: Promise<void> | undefined
  #storedBytes = 0

  constructor(options: CacheOptions) {
    const { config, state, trust } = options
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#store = new CacheStore(state)
    this.#model = new CacheModel({ strategy: config.strategy, scoreOf: (peer) => trust.score(peer) })
    this.#prefetcher = new Prefetcher({
      bytesPerSecond: config.prefetchBytesPerSecond,
      fetch: (key, fetchOptions) => this.#prefetch(key, fetchOptions),
      onPrefetched: () => (this.#counts.prefetchedRoots += 1),
    })
  }

  start(): void {
    for (const { cid, root } of this.#store.load()) this.#model.restore(cid.toString(), root)
    this.#check()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    clearTimeout(this.#saveTimer)
    await this.#prefetcher.stop()
    await this.#evicting
    while (this.#changed.size > 0) this.#save()
  }

  onFetched({ cid, fetchedBytes, source }: Reading): void {
    if (this.#stop.signal.aborted) return
    const key = cid.toString()
    forgetOldest(this.#arrived, MAX_ARRIVED)
    this.#arrived.set(key, fetchedBytes)
    const known = this.#model.get(key)
    this.#hold(key, {
      bytes: Math.max(fetchedBytes, known?.bytes ?? 0),
      source: source ?? known?.source ?? '',
    })
  }

  onReading({ cid, sizeBytes, source, ...reading }: Reading): void {
    if (this.#stop.signal.aborted) return
    const key = cid.toString()
    const fetchedBytes = reading.fetchedBytes + (this.#arrived.get(key) ?? 0)
    this.#arrived.delete(key)
    const nowMs = this.#now()
    this.#counts[fetchedBytes > 0 ? 'misses' : 'hits'] += 1
    this.#model.read(key, nowMs)
    if (fetchedBytes > 0) {
      const known = this.#model.get(key)
      const bytes = Math.max(sizeBytes ?? 0, fetchedBytes, known?.bytes ?? 0)
      this.#hold(key, { bytes, source: source ?? known?.source ?? '' })
    } else if (this.#model.has(key)) this.#change(key)
    for (const next of this.#model.next(key)) void this.#ahead(next.key, sizeBytes ?? fetchedBytes)
    this.#check()
  }

  onStored(bytes: number): void {
    this.#storedBytes += bytes
    if (this.#storedBytes < CHECK_EVERY_BYTES) return
    this.#storedBytes = 0
    this.#check()
  }

  isHot(root: CID): boolean {
    return this.#model.isHot(root.toString(), this.#now())
  }

  statistics(): CacheStatistics {
    return { roots: this.#model.size, ...this.#counts }
  }

  #hold(key: string, root: { bytes: number; source: string }): void {
    const forgotten = this.#model.hold(key, root, this.#now())
    this.#change(key)
    if (forgotten !== undefined) this.#change(forgotten)
  }

  /** What was never held, or is forgotten, is taken to be as large as what it follows. */
  async #ahead(key: string, likeBytes: number): Promise<void> {
    try {
      if (await this.#options.storage.blocks.has(CID.parse(key))) return
    } catch {
      // The store is closed.
      return
    }
    this.#prefetcher.want(key, this.#model.get(key)?.bytes ?? likeBytes)
  }

  async #prefetch(key: string, options: { signal: AbortSignal; maxBytes: number }): Promise<number> {
    const { fetchedBytes, source } = await this.#options.fetch(CID.parse(key), options)
    if (fetchedBytes > 0) this.#hold(key, { bytes: fetchedBytes, source: source ?? '' })
    return fetchedBytes
  }

  #check(): void {
    if (this.#stop.signal.aborted || this.#evicting !== undefined || !this.#isAbove(1)) return
    this.#evicting = this.#evict()
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted)
          this.#options.log.warn({ err: error }, 'cached content could not be evicted')
      })
      .finally(() => {
        this.#evicting = undefined
      })
  }

  #isAbove(share: number): boolean {
    const { usedBytes, quotaBytes } = this.#options.storage.blocks.usage()
    return usedBytes > quotaBytes * this.#options.config.limit * share
  }

  async #evict(): Promise<void> {
    const { storage, log } = this.#options
    const { signal } = this.#stop
    let [roots, bytes, leased] = [0, 0, 0]
    for (const key of this.#model.victims(this.#now())) {
      if (signal.aborted || !this.#isAbove(LOW_SHARE)) break
      const cid = CID.parse(key)
      // What somebody has pinned since is no longer the cache's.
      const evicted =
        storage.pins.state(cid) === 'none'
          ? await evictDag(cid, { ...storage, isOther: (child) => this.#model.has(child.toString()) }, signal)
          : { removedBytes: 0, isLeased: false }
      if (evicted === undefined) break
      // Under a backup, or what a job has touched, it stays for now: the next round finds it where it was.
      if (evicted.isLeased) leased += 1
      else {
        this.#model.drop(key)
        this.#change(key)
      }
      bytes += evicted.removedBytes
      if (evicted.removedBytes > 0) roots += 1
      // A backup covers all there is: walking all of it would change nothing.
      if (leased >= MAX_LEASED_ROOTS) break
    }
    this.#counts.evictedRoots += roots
    this.#counts.evictedBytes += bytes
    if (roots > 0) log.debug({ roots, bytes }, 'evicted cached content')
  }

  #change(key: string): void {
    this.#changed.add(key)
    if (this.#saveTimer !== undefined || this.#stop.signal.aborted) return
    this.#saveTimer = setTimeout(() => {
      this.#saveTimer = undefined
      this.#save()
      const [next] = this.#changed
      if (next !== undefined) this.#change(next)
    }, SAVE_AFTER_MS).unref()
  }

  #save(): void {
    const keys = [...this.#changed].slice(0, SAVE_ROWS)
    for (const key of keys) this.#changed.delete(key)
    try {
      this.#store.save(keys.map((key) => [CID.parse(key), this.#model.get(key)] as const))
    } catch (error) {
      this.#options.log.warn({ err: error }, 'what is known of cached content could not be saved')
    }
  }
}
