import type { LRUCache } from 'lru-cache'
import { sameBytes, slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { Chunk, SlabId, SlabIndex } from '../../../protocols/chunk/types.ts'
import type { FairSlots } from '../../../protocols/shared/fair-slots.ts'
import { Wakeup } from '../../../protocols/shared/wakeup.ts'
import { wait } from '../../jobs/async.ts'
import type { ColumnAt } from '../contracts.ts'
import type { Redundancy } from '../types.ts'
import { piecesNotFound } from './errors.ts'
import type { GroupHolders } from './group-holders.ts'
import {
  GATHER_FIRST_MS,
  GATHER_MS,
  INDEX_HEAD_START_MS,
  INDEX_TIMEOUT_MS,
  MAX_SEARCHES_AGAIN,
} from './limits.ts'
import type { SegmentPieces } from './slab-fetch.ts'
import { SlabFetch } from './slab-fetch.ts'
import type { PeerSpeeds } from './speeds.ts'
import type { SourceCounts } from './statistics.ts'

export interface SlabSourceDependencies {
  chunk: Pick<Chunk, 'index' | 'fetch'>
  speeds: PeerSpeeds
  turns: FairSlots
  indexes: LRUCache<string, SlabIndex>
  onMissing: (slab: SlabId, columns: number[]) => void
}

/** What the manifest says of a slab: an index that says otherwise is not taken. */
export interface ExpectedSlab {
  slab: SlabId
  redundancy: Redundancy
  segments: number
}

/** One slab of a read: finds its index, then its pieces. */
export class SlabSource {
  readonly #deps: SlabSourceDependencies
  readonly #expected: ExpectedSlab
  readonly #holders: GroupHolders
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #known: ColumnAt[] = []
  readonly #wakeup = new Wakeup()
  readonly #opened: Promise<SlabFetch>
  #fetch: SlabFetch | undefined
  #horizon = -1

  constructor(
    deps: SlabSourceDependencies,
    what: {
      expected: ExpectedSlab
      segments: readonly number[]
      holders: GroupHolders
      counts: SourceCounts
      signal: AbortSignal
    },
  ) {
    this.#deps = deps
    this.#expected = what.expected
    this.#holders = what.holders
    this.#signal = AbortSignal.any([what.signal, this.#stop.signal])
    what.holders.listen(what.expected.slab, (column) => this.#onHolder(column))
    this.#opened = this.#open(what.segments, what.counts)
    // Whoever takes a segment gets the error.
    this.#opened.catch(() => {})
  }

  allow(segment: number): void {
    this.#horizon = Math.max(this.#horizon, segment)
    this.#fetch?.allow(segment)
  }

  /** @throws ERR_VAULT_PIECES, the signal's reason */
  async take(segment: number): Promise<{ pieces: SegmentPieces; index: SlabIndex }> {
    const fetch = await this.#opened
    return { pieces: await fetch.take(segment), index: fetch.index }
  }

  close(): void {
    this.#stop.abort(new Error('the reader has left'))
    this.#fetch?.close()
  }

  #onHolder(column: ColumnAt): void {
    if (this.#fetch === undefined) this.#known.push(column)
    else this.#fetch.offer(column)
    this.#wakeup.notify()
  }

  async #open(segments: readonly number[], counts: SourceCounts): Promise<SlabFetch> {
    const { chunk, speeds, turns, onMissing } = this.#deps
    const { slab } = this.#expected
    const index = await this.#index()
    const fetch = new SlabFetch({
      chunk,
      speeds,
      index,
      segments,
      signal: this.#signal,
      turns,
      counts,
      onMissing: (columns) => onMissing(slab, columns),
      searchAgain: () => this.#holders.searchAgain(),
    })
    this.#fetch = fetch
    for (const column of this.#known.splice(0)) fetch.offer(column)
    fetch.allow(this.#horizon)
    await this.#gather(fetch)
    fetch.begin()
    return fetch
  }

  /** Waits a little for enough holders to choose the best from. */
  async #gather(fetch: SlabFetch): Promise<void> {
    const { k, n } = this.#expected.redundancy
    let isSearched = false
    void this.#holders.searched.then(() => {
      isSearched = true
      this.#wakeup.notify()
    })
    const patience = AbortSignal.any([this.#signal, AbortSignal.timeout(GATHER_FIRST_MS)])
    try {
      while (fetch.columns < k && !isSearched) await this.#wakeup.wait(patience)
    } catch {
      return
    }
    if (fetch.columns < n && !isSearched) await wait(GATHER_MS, this.#signal)
  }

  async #index(): Promise<SlabIndex> {
    const key = slabKeyOf(this.#expected.slab)
    const known = this.#deps.indexes.get(key)
    if (known !== undefined) return known
    for (let searches = 0; ; searches += 1) {
      const index = await this.#askForIndex()
      this.#signal.throwIfAborted()
      if (index !== undefined) {
        this.#deps.indexes.set(key, index)
        return index
      }
      const { slab, redundancy } = this.#expected
      if (searches >= MAX_SEARCHES_AGAIN) {
        throw piecesNotFound(slab, { found: 0, needed: redundancy.k, n: redundancy.n })
      }
      await this.#holders.searchAgain()
    }
  }

  /** Asks one holder after the other, the next when the one before is slow; undefined when all have failed. */
  async #askForIndex(): Promise<SlabIndex | undefined> {
    const stop = new AbortController()
    const signal = AbortSignal.any([this.#signal, stop.signal])
    const asked = new Set<string>()
    const pending = new Set<Promise<void>>()
    let found: SlabIndex | undefined
    let isSearched = false
    void this.#holders.searched.then(() => {
      isSearched = true
      this.#wakeup.notify()
    })
    try {
      while (found === undefined) {
        signal.throwIfAborted()
        const next = this.#bestUnasked(asked)
        if (next === undefined && isSearched && pending.size === 0) return undefined
        if (next !== undefined) {
          asked.add(next.peer.toString())
          const question = this.#ask(next, signal)
            .then((index) => {
              found ??= index
            })
            .finally(() => {
              pending.delete(question)
              this.#wakeup.notify()
            })
          pending.add(question)
        }
        if (found === undefined) await this.#someNews(next === undefined)
      }
      return found
    } finally {
      stop.abort(new Error('somebody else answered'))
    }
  }

  /** Waits for an answer, a holder or the end of the search; after a question not longer than its head start. */
  async #someNews(isPatient: boolean): Promise<void> {
    const patience = isPatient
      ? this.#signal
      : AbortSignal.any([this.#signal, AbortSignal.timeout(INDEX_HEAD_START_MS)])
    await this.#wakeup.wait(patience).catch(() => this.#signal.throwIfAborted())
  }

  #bestUnasked(asked: ReadonlySet<string>): ColumnAt | undefined {
    const { speeds } = this.#deps
    let best: ColumnAt | undefined
    let bestMs = Number.POSITIVE_INFINITY
    for (const column of this.#known) {
      const peer = column.peer.toString()
      if (asked.has(peer) || speeds.isAvoided(peer)) continue
      const costMs = speeds.costMs(peer, 0)
      if (costMs >= bestMs) continue
      best = column
      bestMs = costMs
    }
    return best
  }

  async #ask({ peer }: ColumnAt, signal: AbortSignal): Promise<SlabIndex | undefined> {
    const { slab, redundancy, segments } = this.#expected
    try {
      const askedMs = performance.now()
      const patience = AbortSignal.any([signal, AbortSignal.timeout(INDEX_TIMEOUT_MS)])
      const index = await this.#deps.chunk.index(peer, slab, patience)
      this.#deps.speeds.answered(peer.toString(), performance.now() - askedMs)
      const { k, n, sealedBytes } = index
      const fits = k === redundancy.k && n === redundancy.n && sealedBytes.length === segments
      return fits && sameBytes(index.slab, slab) ? index : undefined
    } catch {
      // Another holder may have it; evidence of a lie is the protocol's to give.
      return undefined
    }
  }
}
