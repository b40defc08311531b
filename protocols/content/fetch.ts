import type { CID } from 'multiformats/cid'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence, Policy } from '../../src/trust/contract.ts'
import { LoopTurn, Pacer } from '../shared/pacer.ts'
import { Wakeup } from '../shared/wakeup.ts'
import type { P2pnodeError } from '../shared/errors.ts'
import { cancelled, hashUnsupported, isPathNotFound, notFound, stalled } from './errors.ts'
import { Frontier, type Item, makeItem } from './frontier.ts'
import { isSupportedHash, keyOf } from './hash.ts'
import { HelperSet, isLacking } from './helpers.ts'
import { type ContentLimits, MAX_FRONTIER, PEERS_HEAD_START_MS } from './limits.ts'
import { Progress } from './progress.ts'
import { type Arrival, Puts } from './puts.ts'
import { relieveSlow } from './relief.ts'
import { RootQuestion } from './root-question.ts'
import type { Source, SourceListener } from './source.ts'
import { SourceSet } from './source-set.ts'
import type { StreamPool } from './stream-pool.ts'
import type { DagFetch, FetchDagOptions, FetchStatistics } from './types.ts'
import { Waiters } from './waiters.ts'
import { expand, firstVisit, firstVisits } from './walk.ts'

/** Items that are looked up in the store together, and that may be queued for the sources. */
const LOOKUP_BATCH = 64
const MAX_READY = 256

/** Leaves in line above which inner nodes are not fetched ahead: as many as all sources are asked ahead. */
const LOOKAHEAD_LEAVES = 2048

/** What a block is expected to weigh, and a node to have below it, before any has come. */
const FIRST_BLOCK_BYTES = 64 * 1024
const FIRST_WIDTH = 16

/** How often the clock is looked at. */
const TICK_MS = 250

export interface DagFetchInit {
  pool: StreamPool
  trust: Policy & Evidence
  limits: ContentLimits
  log: Logger
}

/**
 * Fetches a DAG from several sources at once.
 *
 * A loop takes what is next from the frontier, skips and descends into what is held, and queues the rest; the queue is
 * handed out to the sources as each has room. A block that arrives is expanded at once, put into the sink, and given
 * back as credit. What a source does not deliver goes back to the front of the queue.
 *
 * What is in the sink counts as held: `held` must see it.
 */
export class DagFetchSession implements DagFetch, SourceListener {
  readonly done: Promise<FetchStatistics>
  readonly statistics: FetchStatistics = {
    blocks: 0,
    bytes: 0,
    heldBlocks: 0,
    sources: {},
    duplicateBlocks: 0,
  }
  readonly #init: DagFetchInit
  readonly #root: CID
  readonly #options: FetchDagOptions
  readonly #end = new AbortController()
  readonly #settle = Promise.withResolvers<FetchStatistics>()
  readonly #wake = new Wakeup()
  readonly #puts: Puts
  readonly #ticker: NodeJS.Timeout
  readonly #frontier = new Frontier()
  readonly #turn = new LoopTurn()
  /** To be asked for, first come first. */
  #ready: Item[] = []
  /** From the look-up until the block is kept, by key: others of the same block, which wait for that. */
  readonly #underWay = new Map<string, Item[]>()
  readonly #sources: SourceSet
  readonly #waiters = new Waiters()
  /** The first Want, by root, while it is being answered. */
  #rootQuestion: RootQuestion | undefined
  /** Sources that were too slow to answer the question by root, and may have it all the same. */
  readonly #passedOver = new Set<string>()
  readonly #helpers: HelperSet
  readonly #progress: Progress
  #meanBlockBytes = FIRST_BLOCK_BYTES
  #meanWidth = FIRST_WIDTH
  #lastBlockMs = performance.now()
  #ended = false

  constructor(root: CID, options: FetchDagOptions, init: DagFetchInit) {
    this.#init = init
    this.#root = root
    this.#options = options
    this.done = this.#settle.promise
    // Whoever only calls `need` is told there.
    this.done.catch(() => {})
    this.#sources = new SourceSet({
      ...init,
      root,
      options,
      statistics: this.statistics.sources,
      knownBytes: () => this.#progress.totalBytes,
      signal: this.#end.signal,
      listener: this,
      onChange: () => this.#wake.notify(),
      onError: (error) => this.#finish(error),
    })
    this.#helpers = new HelperSet({
      helpers: options.helpers ?? [],
      signal: this.#end.signal,
      onBlock: (item, bytes, from) => this.#helped(item, bytes, from),
      onMissing: (item) => this.#return([item]),
    })
    this.#progress = new Progress(this.statistics, options.onProgress)
    this.#puts = new Puts(options.sink)
    this.#ticker = setInterval(() => this.#tick(), TICK_MS)
    this.#ticker.unref()
    const onAbort = (): void => this.#finish(cancelled(options.signal.reason))
    if (options.signal.aborted) queueMicrotask(onAbort)
    else options.signal.addEventListener('abort', onAbort, { once: true, signal: this.#end.signal })
    this.#run().catch((error: unknown) => this.#finish(error))
  }

  async need(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted()
    const key = keyOf(cid)
    const waiting = this.#waiters.wait(key, signal)
    // Awaited below; where the lines between throw, nobody is left to.
    waiting.catch(() => {})
    const held = await this.#options.held.get(cid, { signal })
    if (held !== undefined) this.#waiters.answer(key, held)
    else if (this.#ended) this.#waiters.reject(key, notFound(cid))
    else this.#hurry(cid, key)
    return waiting
  }

  readonly kept = (): Promise<void> => this.#puts.idle()

  /** To the front of the queue, whether it is known already or not. What is under way stays where it is. */
  #hurry(cid: CID, key: string): void {
    const queued = this.#ready.findIndex((item) => item.key === key)
    if (queued >= 0) this.#ready.unshift(...this.#ready.splice(queued, 1))
    else if (!this.#underWay.has(key)) {
      const known = this.#frontier.find(key)
      const isTaken = known !== undefined && this.#frontier.takeItem(known)
      this.#underWay.set(key, [])
      this.#ready.unshift(isTaken ? known : makeItem(firstVisit({ root: cid, scope: 'block' }), key, true))
    }
    this.#wake.notify()
  }

  async #run(): Promise<void> {
    const { scope, path, range } = this.#options
    this.#frontier.add(firstVisits({ root: this.#root, scope, path, range }))
    const pacer = new Pacer()
    while (!this.#ended) {
      this.#sources.engage()
      const canLookUp = this.#rootQuestion === undefined && this.#ready.length < MAX_READY
      const items = canLookUp ? this.#frontier.take(LOOKUP_BATCH, () => this.#mayTakeInner()) : []
      if (items.length > 0) await this.#lookUp(items, pacer)
      this.#assign()
      this.#offerToHelpers()
      if (this.#isComplete()) return this.#finish(undefined)
      this.#checkSources()
      if (items.length === 0) await this.#wake.wait(this.#end.signal)
      else await pacer.breathe()
    }
  }

  #mayTakeInner(): boolean {
    return this.#frontier.waitingLeaves + this.#frontier.takenInner * this.#meanWidth < LOOKAHEAD_LEAVES
  }

  /** Sorts out what is held and what has to be asked for. */
  async #lookUp(items: Item[], pacer: Pacer): Promise<void> {
    const { held } = this.#options
    const first = items.filter((item) => {
      const sameBlock = this.#underWay.get(item.key)
      if (sameBlock === undefined) this.#underWay.set(item.key, [])
      else sameBlock.push(item)
      return sameBlock === undefined
    })
    const found = await Promise.all(
      first.map(async (item) => {
        const needsBytes = item.isInner || this.#waiters.has(item.key)
        if (needsBytes) return held.get(item.visit.cid, { signal: this.#end.signal })
        return held.has(item.visit.cid)
      }),
    )
    // Looking through what is held is no standstill, however much of it there is.
    if (found.some((bytes) => bytes !== undefined && bytes !== false)) this.#lastBlockMs = performance.now()
    for (const [index, item] of first.entries()) {
      // Of large directories each node has hundreds of links.
      await pacer.breathe()
      if (this.#ended) return
      const bytes = found[index]
      if (bytes === undefined || bytes === false) this.#queue(item)
      else this.#found(item, bytes === true ? undefined : bytes)
    }
  }

  #queue(item: Item): void {
    const { cid } = item.visit
    if (!isSupportedHash(cid)) throw hashUnsupported(cid.multihash.code)
    if (this.#waiters.has(item.key)) this.#ready.unshift(item)
    else this.#ready.push(item)
  }

  /** The block is held: its links take its place. */
  #found(item: Item, bytes: Uint8Array | undefined): void {
    if (!item.isCounted) this.statistics.heldBlocks += 1
    if (bytes !== undefined) {
      this.#waiters.answer(item.key, bytes)
      if (item.isInner) this.#expand(item, bytes)
    }
    this.#frontier.remove(item)
    this.#release(item.key)
  }

  /** Others that waited for the same block look again and find it held. */
  #release(key: string): void {
    const others = this.#underWay.get(key) ?? []
    this.#underWay.delete(key)
    for (const other of others) this.#frontier.putBack(other)
    this.#wake.notify()
  }

  #expand(item: Item, bytes: Uint8Array): void {
    const { visits, totalBytes } = expand(item.visit, bytes)
    this.#progress.expect(totalBytes)
    this.#meanWidth += 0.2 * (visits.length - this.#meanWidth)
    this.#frontier.add(visits, item)
    this.#frontier.markVisited(item)
  }

  /** Hands out what is queued: each time to the source with the least to do, a little at a time. */
  #assign(): void {
    if (this.#rootQuestion !== undefined) return
    const estimate = (item: Item): number => item.visit.sizeHint || this.#meanBlockBytes
    const able = this.#sources.active.filter((source) => source.stream.isOpen)
    while (this.#ready.length > 0 && able.length > 0) {
      able.sort((a, b) => a.load - b.load || a.order - b.order)
      const source = able[0]!
      if (source.load >= 1) return
      const batch = source.batch(this.#ready, estimate)
      const root = batch.find((item) => item.visit.depth === 0 && item.isInner)
      if (batch.length === 0) able.shift()
      else if (root !== undefined) return this.#askByRoot(source, root)
      else {
        const asked = new Set(batch)
        this.#ready = this.#ready.filter((item) => !asked.has(item))
        source.ask(batch, estimate)
      }
    }
  }

  /** What no source can bring, or none has in time, goes to the helpers. */
  #offerToHelpers(): void {
    if (this.#rootQuestion !== undefined || !this.#helpers.hasRoom) return
    const waitedMs = performance.now() - this.#lastBlockMs
    if (this.#sources.mayComeMore && !this.#helpers.hasLead && waitedMs < PEERS_HEAD_START_MS) return
    const able = this.#sources.active.filter((source) => source.stream.isOpen && !source.isResting)
    this.#ready = this.#helpers.takeFrom(this.#ready, able)
  }

  /** With the root not held, the first question is by root: a small DAG comes in one round trip. */
  #askByRoot(source: Source, root: Item): void {
    const { scope, path, range } = this.#options
    this.#ready = this.#ready.filter((item) => item !== root)
    this.#rootQuestion = new RootQuestion({
      source,
      root,
      want: { scope, path: [...(path ?? [])], range },
      frontier: this.#frontier,
      onBlock: (item, bytes, creditBytes, isPrivate) => {
        this.#ready = this.#ready.filter((other) => other !== item)
        if (!this.#underWay.has(item.key)) this.#underWay.set(item.key, [])
        const release = (): void => source.stream.release(creditBytes)
        this.#received({ item, bytes, isPrivate, mayBeHeld: true, release })
      },
      onEnd: (error) => {
        if (this.#rootQuestion?.isCancelled === true) this.#passedOver.add(source.name)
        this.#rootQuestion = undefined
        const isOwed = root.state === 'taken' && !root.isCounted
        if (!this.#ended && isOwed) this.#ready.unshift(root)
        if (error === undefined) this.#wake.notify()
        else this.onLost(source, error)
      },
    })
  }

  onBlock(source: Source, item: Item, bytes: Uint8Array, creditBytes: number, isPrivate: boolean): void {
    const release = (): void => source.stream.release(creditBytes)
    this.#received({ item, bytes, isPrivate, mayBeHeld: false, release })
  }

  #helped(item: Item, bytes: Uint8Array, from: string): void {
    const source = (this.statistics.sources[from] ??= { blocks: 0, bytes: 0, failures: 0 })
    source.blocks += 1
    source.bytes += bytes.length
    this.#received({ item, bytes, isPrivate: false, mayBeHeld: false, release: () => {} })
  }

  #received(arrival: Arrival): void {
    if (this.#ended) return
    const { item, bytes } = arrival
    this.#lastBlockMs = performance.now()
    this.statistics.blocks += 1
    this.statistics.bytes += bytes.length
    this.#meanBlockBytes += 0.1 * (bytes.length - this.#meanBlockBytes)
    item.isCounted = true
    let deadEnd: P2pnodeError | undefined
    try {
      this.#unfold(item, bytes)
    } catch (error) {
      if (!isPathNotFound(error)) return this.#finish(error)
      deadEnd = error
    }
    // Whether somebody may read what is private its sink says.
    if (!arrival.isPrivate) this.#waiters.answer(item.key, bytes)
    void this.#keep(arrival, deadEnd)
    this.#wake.notify()
  }

  /**
   * Expands what has just come, unless too much is in line or the event loop's turn has been long already, as where many
   * small nodes come in one piece: then it is read again, from the store, when its turn comes.
   */
  #unfold(item: Item, bytes: Uint8Array): void {
    if (item.state === 'out') return
    const isTooMuch = this.#frontier.size > MAX_FRONTIER || this.#turn.isLong()
    if (item.isInner && isTooMuch && this.#rootQuestion === undefined) return
    if (item.isInner) this.#expand(item, bytes)
    this.#frontier.remove(item)
  }

  /** With a `deadEnd`, this block proves that the path does not exist: the fetch ends once the proof is kept, whole. */
  async #keep(arrival: Arrival, deadEnd: P2pnodeError | undefined): Promise<void> {
    const { item, bytes, mayBeHeld } = arrival
    try {
      const isRepeated = mayBeHeld && (await this.#options.held.has(item.visit.cid))
      if (isRepeated) this.statistics.duplicateBlocks += 1
      await this.#puts.put(arrival)
      if (deadEnd !== undefined) await this.#puts.idle()
    } catch (error) {
      this.#finish(error)
      return
    }
    this.#lastBlockMs = performance.now()
    this.#waiters.answer(item.key, bytes)
    if (deadEnd !== undefined) return this.#finish(deadEnd)
    this.#frontier.putBack(item)
    this.#release(item.key)
    this.#progress.report(false)
  }

  onMissing(source: Source, item: Item): void {
    ;(item.missedBy ??= new Set()).add(source.name)
    this.#return([item])
  }

  onReturned(_source: Source, items: Item[]): void {
    this.#return(items)
  }

  #return(items: Item[]): void {
    if (this.#ended) return
    this.#ready.unshift(...items)
    this.#wake.notify()
  }

  onReady(): void {
    this.#wake.notify()
  }

  onLost(source: Source, error: Error): void {
    this.#sources.lost(source, error)
  }

  /** Ends the fetch where nobody is left to ask for something that is queued. */
  #checkSources(): void {
    if (this.#rootQuestion !== undefined || this.#ready.length === 0) return
    const sources = this.#sources.active
    const isIdle = !this.#helpers.isBusy && sources.every((source) => source.outstanding === 0)
    if (isIdle && sources.some((source) => source.isResting)) {
      // Those that lacked much are asked again, since nobody else has anything to do.
      for (const source of sources) source.wakeUp()
      this.#assign()
    }
    const stuck = this.#ready.filter((item) => isLacking(item, sources))
    if (stuck.some((item) => this.#sources.replaceFor(item))) return
    this.#reconsiderPassedOver(sources)
    if (this.#sources.mayComeMore) return
    const orphans = this.#ready.filter((item) => !this.#helpers.canBring(item) && isLacking(item, sources))
    for (const item of orphans) {
      const error = notFound(item.visit.cid, { asked: Object.keys(this.statistics.sources) })
      if (item.state !== 'out') throw error
      // Not known to belong to the DAG: only who asked for it learns that nobody has it.
      this.#ready.splice(this.#ready.indexOf(item), 1)
      this.#waiters.reject(item.key, error)
      this.#release(item.key)
    }
  }

  #reconsiderPassedOver(sources: Source[]): void {
    if (this.#passedOver.size === 0) return
    for (const item of this.#ready) {
      if (!isLacking(item, sources)) continue
      for (const name of this.#passedOver) item.missedBy?.delete(name)
      this.#passedOver.clear()
      this.#assign()
      return
    }
  }

  #isComplete(): boolean {
    return this.#frontier.size === 0 && this.#underWay.size === 0 && this.#rootQuestion === undefined
  }

  #tick(): void {
    if (this.#ended) return
    const now = performance.now()
    const stallTimeoutMs = this.#options.stallTimeoutMs ?? this.#init.limits.stallTimeoutMs
    if (this.#puts.count > 0 || this.#sources.hasProgressed()) this.#lastBlockMs = now
    this.#helpers.tick(now)
    // Helpers end by themselves.
    const isStalled = !this.#helpers.isBusy && now - this.#lastBlockMs > stallTimeoutMs
    if (isStalled) return this.#finish(stalled(stallTimeoutMs))
    relieveSlow({
      sources: this.#sources.active,
      question: this.#rootQuestion,
      helpers: this.#helpers,
      isQueued: this.#ready.length > 0,
      sourceIdleMs: this.#init.limits.sourceIdleMs,
    })
    this.#wake.notify()
  }

  #finish(error: unknown): void {
    if (this.#ended) return
    this.#ended = true
    const reason = error === undefined || error instanceof Error ? error : new Error(String(error))
    clearInterval(this.#ticker)
    this.#end.abort(reason ?? cancelled())
    this.#sources.dismiss()
    this.#helpers.dismiss()
    this.#waiters.rejectAll(reason ?? notFound(this.#root))
    if (reason === undefined) {
      this.#progress.report(true)
      this.#settle.resolve(this.statistics)
    } else this.#settle.reject(reason)
  }
}
