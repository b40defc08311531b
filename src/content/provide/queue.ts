import { setImmediate as turn } from 'node:timers/promises'
import type { CID } from 'multiformats/cid'
import { cancelled } from '../errors.ts'
import { announce, isProvidable } from './announcer.ts'
import { contentPrivate, provideFailed, provideHash } from './errors.ts'
import type { ProvideOptions } from './index.ts'
import {
  LONGEST_SLEEP_MS,
  MAX_RECORDS,
  ROUTES_AFTER_MS,
  ROUTES_LIMIT_MS,
  STEP_ROWS,
  SYNC_AFTER_MS,
  TAKEN_ROWS,
} from './limits.ts'
import { nextDueMs, retryAfterMs } from './schedule.ts'
import { KIND_BLOCK, KIND_ROOT, ProvideStore, type ProvideRow, type RecordKind } from './store.ts'
import type { ProvideRecords, ProvideStatistics, RefusalReason } from './types.ts'

/**
 * Works through the records that are due, some at a time, and only while the DHT knows somebody. Sleeps until the next
 * is due: an idle node has one timer.
 */
export class ProvideQueue implements ProvideRecords {
  readonly #options: ProvideOptions
  readonly #store: ProvideStore
  readonly #now: () => number
  readonly #stop = new AbortController()
  readonly #running = new Map<string, { work: Promise<void>; stop: AbortController }>()
  /** Taken from the table, to be announced next. */
  #taken: ProvideRow[] = []
  #timer: NodeJS.Timeout | undefined
  #syncTimer: NodeJS.Timeout | undefined
  #syncing: Promise<void> | undefined
  /** Something was pinned that the run under way may have passed already. */
  #isSyncDue = false
  /** Ends when all that was to be hidden so far is withdrawn. */
  #hiding: Promise<void> = Promise.resolve()
  #nextBeginMs = 0
  #routesAfterMs = ROUTES_AFTER_MS
  #isStarted = false
  /** Since the table was last looked through. */
  #hasRuleChange = false
  readonly #counts = { provided: 0, failed: 0 }
  readonly #refused: Record<RefusalReason, number> = { private: 0, denied: 0, hash: 0, full: 0 }

  constructor(options: ProvideOptions) {
    this.#options = options
    this.#store = new ProvideStore(options.state)
    this.#now = options.now ?? Date.now
  }

  get #isOff(): boolean {
    return this.#options.config.strategy === 'off'
  }

  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#options.libp2p.addEventListener('peer:identify', this.#onPeer)
    this.#sync()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#options.libp2p.removeEventListener('peer:identify', this.#onPeer)
    clearTimeout(this.#timer)
    clearTimeout(this.#syncTimer)
    const running = [...this.#running.values()].map(({ work }) => work)
    await Promise.allSettled([...running, this.#syncing, this.#hiding])
  }

  add(cid: CID): void {
    if (this.#isOff || this.#stop.signal.aborted) return
    const isLoose = this.#options.storage.pins.state(cid) === 'none'
    this.#insert([{ cid, kind: KIND_ROOT, isLoose }])
    if (this.#options.config.strategy === 'pinned') {
      clearTimeout(this.#syncTimer)
      this.#syncTimer = setTimeout(() => this.#sync(), SYNC_AFTER_MS).unref()
    }
    this.#wake()
  }

  async withdraw(cid: CID): Promise<void> {
    this.#store.remove([cid])
    this.#taken = this.#taken.filter((row) => !row.cid.equals(cid))
    await this.#forget(cid)
  }

  hide(cids: readonly CID[], { isRoot }: { isRoot: boolean }): void {
    if (this.#stop.signal.aborted) return
    const reason = new Error('it has become private')
    for (const cid of cids) this.#running.get(keyOf(cid))?.stop.abort(reason)
    this.#hiding = this.#hiding
      .then(() => this.#hide(cids, isRoot))
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted)
          this.#options.log.warn({ err: error }, 'records of what has become private could not be withdrawn')
      })
  }

  async provide(cid: CID, { signal }: { signal: AbortSignal }): Promise<void> {
    if (this.#isPrivate(cid)) throw contentPrivate(cid)
    if (!isProvidable(cid)) throw provideHash(cid)
    try {
      await announce(this.#options.libp2p, cid, AbortSignal.any([signal, this.#stop.signal]))
    } catch (error) {
      if (signal.aborted || this.#stop.signal.aborted) throw cancelled(error)
      await this.#assertStillPublic(cid)
      throw provideFailed(cid, error)
    }
    await this.#assertStillPublic(cid)
    this.#counts.provided += 1
    this.#reschedule(cid)
  }

  reconsider(): void {
    this.#hasRuleChange = true
    if (this.#isStarted && !this.#isOff && !this.#stop.signal.aborted) this.#sync()
  }

  statistics(): ProvideStatistics {
    return {
      ...this.#store.counts(this.#now()),
      ...this.#counts,
      running: this.#running.size,
      refused: { ...this.#refused },
    }
  }

  #insert(records: { cid: CID; kind: RecordKind; isLoose: boolean }[]): void {
    const fit = records.filter(({ cid }) => {
      if (isProvidable(cid)) return true
      this.#refused.hash += 1
      this.#options.log.debug({ cid: cid.toString() }, 'nodes of the DHT keep no records of this hash')
      return false
    })
    if (fit.length > 0) this.#store.add(fit, this.#now())
  }

  readonly #onPeer = (): void => {
    this.#routesAfterMs = ROUTES_AFTER_MS
    this.#sleep(this.#routesAfterMs)
  }

  /** Takes up what is pinned and not in the table yet; where nothing is to be announced, forgets what was. */
  #sync(): void {
    if (this.#syncing !== undefined) {
      this.#isSyncDue = true
      return
    }
    this.#isSyncDue = false
    this.#syncing = (this.#isOff ? this.#forgetAll() : this.#takeUp())
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted)
          this.#options.log.warn({ err: error }, 'pins could not be queued for announcing')
      })
      .finally(() => {
        this.#syncing = undefined
        if ((this.#isSyncDue || this.#hasRuleChange) && !this.#stop.signal.aborted) this.#sync()
        this.#wake()
      })
  }

  async #takeUp(): Promise<void> {
    const { pins } = this.#options.storage
    if (this.#hasRuleChange) await this.#dropHidden()
    for (let afterId: number | null = 0; afterId !== null && this.#hasRoom(); ) {
      const page: ReturnType<typeof pins.list> = pins.list({ limit: STEP_ROWS, afterId })
      this.#insert(
        page.pins
          .filter(({ cid }) => this.#refusalOf(cid) === undefined)
          .map(({ cid }) => ({ cid, kind: KIND_ROOT, isLoose: false })),
      )
      afterId = page.nextAfterId
      this.#wake()
      await turn()
    }
    if (this.#options.config.strategy !== 'pinned') return
    for (let after: CID | undefined; this.#hasRoom(); ) {
      const page = pins.references({ limit: STEP_ROWS, ...(after === undefined ? {} : { after }) })
      const told = page.filter((cid) => this.#refusalOf(cid) === undefined)
      this.#insert(told.map((cid) => ({ cid, kind: KIND_BLOCK, isLoose: false })))
      after = page.at(-1)
      if (after === undefined) return
      this.#wake()
      await turn()
    }
  }

  #hasRoom(): boolean {
    if (this.#stop.signal.aborted) return false
    if (this.#store.records < MAX_RECORDS) return true
    this.#refused.full += 1
    this.#options.log.warn({ maxRecords: MAX_RECORDS }, 'more is pinned than can be announced')
    return false
  }

  /** Withdrawn at once: kad-dht answers from its own records, and announces them by itself. */
  async #dropHidden(): Promise<void> {
    this.#hasRuleChange = false
    for (let after: Uint8Array | undefined = new Uint8Array(0); after !== undefined; ) {
      const page = this.#store.pageAfter(after, STEP_ROWS)
      for (const { cid } of page) {
        const refusal = this.#refusalOf(cid)
        if (refusal === undefined) continue
        this.#refused[refusal] += 1
        await this.withdraw(cid)
      }
      after = this.#stop.signal.aborted ? undefined : page.at(-1)?.cid.multihash.bytes
      await turn()
    }
  }

  async #hide(cids: readonly CID[], isRoot: boolean): Promise<void> {
    for (const cid of cids) {
      if (this.#stop.signal.aborted) return
      // It may be public again by its turn.
      if (!this.#isPrivate(cid)) continue
      const row = this.#store.find(cid)
      if (row !== undefined) {
        this.#refused.private += 1
        await this.withdraw(row.cid)
      } else if (isRoot) await this.#forget(cid)
    }
  }

  /** @throws ERR_CONTENT_PRIVATE where it became private while it was announced: kad-dht has it on its own list by then */
  async #assertStillPublic(cid: CID): Promise<void> {
    if (!this.#isPrivate(cid)) return
    await this.withdraw(cid)
    throw contentPrivate(cid)
  }

  async #forgetAll(): Promise<void> {
    for (;;) {
      const page = this.#store.page(STEP_ROWS)
      if (page.length === 0 || this.#stop.signal.aborted) return
      for (const { cid } of page) await this.#forget(cid)
      this.#store.remove(page.map(({ cid }) => cid))
      await turn()
    }
  }

  /** kad-dht announces by itself, every day, what it was once told to: until it is told otherwise. */
  async #forget(cid: CID): Promise<void> {
    await this.#options.libp2p.contentRouting
      .cancelReprovide(cid, { signal: this.#stop.signal })
      .catch((error: unknown) => {
        this.#options.log.debug(
          { cid: cid.toString(), error: String(error) },
          'a record could not be withdrawn',
        )
      })
  }

  #sleep(ms: number): void {
    clearTimeout(this.#timer)
    if (this.#stop.signal.aborted) return
    this.#timer = setTimeout(() => this.#wake(), Math.min(Math.max(0, ms), LONGEST_SLEEP_MS)).unref()
  }

  /** Begins as much as may be begun now, and sets the timer for what comes next. */
  #wake(): void {
    const { config, libp2p, hasRoutes } = this.#options
    clearTimeout(this.#timer)
    if (!this.#isStarted || this.#isOff || this.#stop.signal.aborted) return
    // Whoever connects next wakes the queue.
    if (libp2p.getPeers().length === 0) return
    if (!hasRoutes()) {
      this.#routesAfterMs = Math.min(2 * this.#routesAfterMs, ROUTES_LIMIT_MS)
      this.#sleep(this.#routesAfterMs)
      return
    }
    while (this.#running.size < config.concurrency) {
      const waitMs = this.#nextBeginMs - performance.now()
      if (waitMs > 1) {
        this.#sleep(waitMs)
        return
      }
      const record = this.#take()
      if (record === undefined) {
        this.#sleepUntilDue()
        return
      }
      this.#nextBeginMs =
        Math.max(this.#nextBeginMs, performance.now() - 1_000) + 1_000 / config.ratePerSecond
      this.#begin(record)
    }
  }

  #sleepUntilDue(): void {
    const soonestMs = this.#store.soonestMs()
    // Those on their way are due as well, and wake the queue when they end.
    if (soonestMs === undefined || this.#running.size > 0) return
    this.#sleep(soonestMs - this.#now())
  }

  #take(): ProvideRow | undefined {
    const nowMs = this.#now()
    if (this.#taken.length === 0) this.#taken = this.#store.due(nowMs, TAKEN_ROWS + this.#running.size)
    for (let row = this.#taken.shift(); row !== undefined; row = this.#taken.shift()) {
      if (this.#running.has(keyOf(row.cid))) continue
      // Announced, put off or withdrawn since it was taken.
      const current = this.#store.find(row.cid)
      if (current !== undefined && current.nextMs <= nowMs) return current
    }
    return undefined
  }

  #begin(row: ProvideRow): void {
    const key = keyOf(row.cid)
    const stop = new AbortController()
    const work = this.#announce(row, AbortSignal.any([stop.signal, this.#stop.signal]))
      .catch((error: unknown) => {
        if (this.#stop.signal.aborted) return
        this.#options.log.warn({ err: error, cid: row.cid.toString() }, 'a record could not be worked on')
        this.#store.failed(row.cid, this.#now() + retryAfterMs(row.failures + 1))
      })
      .finally(() => {
        this.#running.delete(key)
        this.#wake()
      })
    this.#running.set(key, { work, stop })
  }

  async #announce(row: ProvideRow, signal: AbortSignal): Promise<void> {
    const { cid } = row
    const { libp2p, log } = this.#options
    if (!(await this.#isDeserved(row))) {
      await this.withdraw(cid)
      return
    }
    let problem: unknown
    await announce(libp2p, cid, signal).catch((error: unknown) => {
      problem = error ?? new Error('it was not announced')
    })
    if (this.#stop.signal.aborted) return
    if (this.#refusalOf(cid) !== undefined) {
      // Whether it was withdrawn before or not: kad-dht puts on its own list what it begins to announce.
      await this.withdraw(cid)
      return
    }
    if (problem === undefined) {
      this.#counts.provided += 1
      this.#reschedule(cid)
      return
    }
    this.#counts.failed += 1
    this.#store.failed(cid, this.#now() + retryAfterMs(row.failures + 1))
    log.debug({ cid: cid.toString(), error: String(problem) }, 'a root could not be announced')
  }

  #reschedule(cid: CID): void {
    const nowMs = this.#now()
    this.#store.done(cid, nowMs, nextDueMs(cid.multihash.digest, nowMs, this.#options.config.intervalMs))
  }

  /** Whether what the record says is still so, and may be said. */
  async #isDeserved({ cid, kind, isLoose }: ProvideRow): Promise<boolean> {
    const { config, storage } = this.#options
    const refusal = this.#refusalOf(cid)
    if (refusal !== undefined) {
      this.#refused[refusal] += 1
      return false
    }
    const state = storage.pins.state(cid)
    const isPinned = kind === KIND_ROOT ? state === 'recursive' || state === 'direct' : state !== 'none'
    if (kind === KIND_BLOCK && config.strategy !== 'pinned') return false
    return isPinned || (isLoose && (await storage.blocks.has(cid)))
  }

  /** Why nobody may be told of it now. */
  #refusalOf(cid: CID): 'private' | 'denied' | undefined {
    if (this.#isPrivate(cid)) return 'private'
    return this.#options.isDenied?.(cid) === true ? 'denied' : undefined
  }

  #isPrivate(cid: CID): boolean {
    return this.#options.isPrivate?.(cid) ?? false
  }
}

function keyOf({ multihash }: CID): string {
  return Buffer.from(multihash.bytes).toString('latin1')
}
