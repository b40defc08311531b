import type { PeerId } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { ClientStream } from './client-stream.ts'
import type { Item } from './frontier.ts'
import { keyOf } from './hash.ts'
import {
  MAX_CIDS_PER_MESSAGE,
  MAX_OUTSTANDING_BLOCKS,
  MAX_OUTSTANDING_BYTES,
  MIN_OUTSTANDING_BYTES,
  MISSES_BEFORE_REST,
  OUTSTANDING_MS,
} from './limits.ts'

import type { FetchStatistics } from './types.ts'

/** Speed is measured over at least so long: shorter spans measure single packets. */
const MEASURE_MS = 100

/** A measurement over so long counts as much as all before it. */
const MEMORY_MS = 300

/** A Want asks for so many milliseconds' worth, so that little has to be cancelled when a slow source's share is taken. */
const WANT_MS = 50

/** What is assumed of a source that has not been measured: 2 MiB ahead at the start. */
const FIRST_BYTES_PER_MS = 4 * 1024

/** How a source's answers reach the fetch that asked. */
export interface SourceListener {
  onBlock(source: Source, item: Item, bytes: Uint8Array, creditBytes: number, isPrivate: boolean): void
  onMissing(source: Source, item: Item): void
  /** Asked for and not sent: to be asked again, here or elsewhere. */
  onReturned(source: Source, items: Item[]): void
  onLost(source: Source, error: Error): void
  /** Something changed about what the source can take. */
  onReady(source: Source): void
}

type SourceStatistics = FetchStatistics['sources'][string]

interface Asked {
  item: Item
  estimateBytes: number
  wantId: number
}

/** One peer that a fetch gets blocks from: what it was asked for, how fast it is, how much more it should be asked. */
export class Source {
  readonly peer: PeerId
  readonly name: string
  readonly stream: ClientStream
  /** Goes on counting where the same peer was used before. */
  readonly statistics: SourceStatistics
  /** Its place among the sources of the fetch: the lower, the rather. */
  readonly order: number
  readonly startedMs = performance.now()
  receivedBytes = 0
  receivedBlocks = 0
  missedBlocks = 0
  /** From the first question to the first answer. */
  latencyMs: number | null = null
  lastBlockMs = performance.now()
  /** When it was asked after having had nothing to do. */
  askedMs = performance.now()
  readonly #listener: SourceListener
  readonly #asked = new Map<string, Asked>()
  /** Open Wants: their ids, in the order in which they were sent; the first one is being answered. */
  readonly #wants = new Set<number>()
  readonly #cancelled = new Set<number>()
  #askedBytes = 0
  #bytesPerMs = FIRST_BYTES_PER_MS
  #measuredFromMs = performance.now()
  #measuredBytes = 0
  #missesInRow = 0
  /** Since when it has had something to do, and for how long before that. */
  #busySinceMs: number | undefined
  #busyMs = 0
  #firstAskedMs: number | undefined

  constructor(init: {
    peer: PeerId
    stream: ClientStream
    order: number
    statistics: SourceStatistics
    listener: SourceListener
  }) {
    this.peer = init.peer
    this.name = init.peer.toString()
    this.stream = init.stream
    this.order = init.order
    this.statistics = init.statistics
    this.#listener = init.listener
  }

  get outstanding(): number {
    return this.#asked.size
  }

  /** Time that what it was asked for will take, at its measured speed. */
  get backlogMs(): number {
    return this.#askedBytes / this.#currentBytesPerMs()
  }

  /** 0: idle; 1: has as much to do as it should. */
  get load(): number {
    if (this.#asked.size >= MAX_OUTSTANDING_BLOCKS || this.stream.isFull) return 1
    return this.#askedBytes / this.#targetBytes
  }

  /** How long it has had something to do. */
  get busyMs(): number {
    return this.#busyMs + (this.#busySinceMs === undefined ? 0 : performance.now() - this.#busySinceMs)
  }

  /** It has been asked, or has nothing to do any more: for what `ask` does not see. */
  setBusy(isBusy: boolean): void {
    const now = performance.now()
    if (isBusy) {
      this.#busySinceMs ??= now
      this.#firstAskedMs ??= now
    } else {
      this.#busyMs = this.busyMs
      this.#busySinceMs = undefined
    }
  }

  /** It does not have a block that it was asked for. */
  miss(): void {
    this.missedBlocks += 1
    this.#answered()
  }

  /** It lacked what it was asked for so often that it is asked only for what others do not have. */
  get isResting(): boolean {
    return this.#missesInRow >= MISSES_BEFORE_REST
  }

  /** Nobody else can help: it is asked again for whatever comes. */
  wakeUp(): void {
    this.#missesInRow = 0
  }

  /** How many of these it should be asked for in one Want, given what each is expected to weigh. */
  batch(items: readonly Item[], estimate: (item: Item) => number): Item[] {
    const room = this.#targetBytes - this.#askedBytes
    const most = Math.min(room, this.#currentBytesPerMs() * WANT_MS)
    const count = Math.min(MAX_OUTSTANDING_BLOCKS - this.#asked.size, MAX_CIDS_PER_MESSAGE)
    const batch: Item[] = []
    let bytes = 0
    for (const item of items) {
      if (batch.length >= count || (batch.length > 0 && bytes >= most)) break
      if (item.missedBy?.has(this.name) === true || this.#asked.has(item.key)) continue
      if (this.isResting && item.missedBy === undefined) continue
      batch.push(item)
      bytes += estimate(item)
    }
    return batch
  }

  ask(items: Item[], estimate: (item: Item) => number): void {
    if (this.#asked.size === 0) {
      this.setBusy(true)
      this.askedMs = performance.now()
      this.#startMeasuring()
    }
    const cids = items.map((item) => item.visit.cid)
    const wantId = this.stream.wantCids(cids, {
      onBlock: (cid, bytes, creditBytes, isPrivate) => this.#onBlock(cid, bytes, creditBytes, isPrivate),
      onMissing: (missing) => this.#onMissing(missing),
      onDone: (_status, rest) => this.#onDone(wantId, rest),
      onLost: (error, rest) => this.#onLost(error, rest),
    })
    this.#wants.add(wantId)
    for (const item of items) {
      const estimateBytes = estimate(item)
      this.#asked.set(item.key, { item, estimateBytes, wantId })
      this.#askedBytes += estimateBytes
    }
  }

  /** Gives up the last Want that is not being answered yet; what it asked for is returned. False: there is none. */
  cancelLast(): boolean {
    const ids = [...this.#wants]
    for (let index = ids.length - 1; index > 0; index--) {
      const id = ids[index]!
      if (this.#cancelled.has(id)) continue
      this.#cancelled.add(id)
      this.stream.cancel(id)
      return true
    }
    return false
  }

  /** Counts a block that came without having been asked by CID. */
  count(bytes: number): void {
    const now = performance.now()
    this.lastBlockMs = now
    this.statistics.blocks += 1
    this.statistics.bytes += bytes
    this.receivedBytes += bytes
    this.receivedBlocks += 1
    this.#answered()
    this.#missesInRow = 0
    this.#measuredBytes += bytes
    const elapsedMs = now - this.#measuredFromMs
    if (elapsedMs < MEASURE_MS) return
    const measured = this.#measuredBytes / elapsedMs
    const weight = elapsedMs / (elapsedMs + MEMORY_MS)
    this.#bytesPerMs += weight * (measured - this.#bytesPerMs)
    this.#startMeasuring()
  }

  /** The measured speed, or less where the source has been slower than that for a while. */
  #currentBytesPerMs(): number {
    const elapsedMs = performance.now() - this.#measuredFromMs
    if (this.#asked.size === 0 || elapsedMs < OUTSTANDING_MS) return this.#bytesPerMs
    return Math.min(this.#bytesPerMs, (this.#measuredBytes + 1) / elapsedMs)
  }

  get #targetBytes(): number {
    const ahead = this.#currentBytesPerMs() * OUTSTANDING_MS
    return Math.min(MAX_OUTSTANDING_BYTES, Math.max(MIN_OUTSTANDING_BYTES, ahead))
  }

  #onBlock(cid: CID, bytes: Uint8Array, creditBytes: number, isPrivate: boolean): void {
    this.count(bytes.length)
    const item = this.#take(keyOf(cid))
    if (item !== undefined) this.#listener.onBlock(this, item, bytes, creditBytes, isPrivate)
  }

  #onMissing(missing: CID[]): void {
    for (const cid of missing) {
      const item = this.#take(keyOf(cid))
      if (item === undefined) continue
      this.#missesInRow += 1
      this.miss()
      this.#listener.onMissing(this, item)
    }
    this.#listener.onReady(this)
  }

  #onDone(wantId: number, rest: CID[]): void {
    this.#wants.delete(wantId)
    const wasCancelled = this.#cancelled.delete(wantId)
    const items = this.#takeAll(rest)
    if (!wasCancelled) {
      // Refused, or out of some budget of the server's: it will not be asked for these again.
      for (const item of items) {
        this.miss()
        this.#listener.onMissing(this, item)
      }
    } else if (items.length > 0) this.#listener.onReturned(this, items)
    this.#listener.onReady(this)
  }

  #onLost(error: Error, rest: CID[]): void {
    const items = this.#takeAll(rest)
    if (items.length > 0) this.#listener.onReturned(this, items)
    this.#listener.onLost(this, error)
  }

  #takeAll(cids: CID[]): Item[] {
    return cids.map((cid) => this.#take(keyOf(cid))).filter((item) => item !== undefined)
  }

  #answered(): void {
    if (this.#firstAskedMs !== undefined) this.latencyMs ??= performance.now() - this.#firstAskedMs
  }

  #startMeasuring(): void {
    this.#measuredFromMs = performance.now()
    this.#measuredBytes = 0
  }

  #take(key: string): Item | undefined {
    const asked = this.#asked.get(key)
    if (asked === undefined) return undefined
    this.#asked.delete(key)
    this.#askedBytes -= asked.estimateBytes
    if (this.#asked.size === 0) this.setBusy(false)
    return asked.item
  }
}
