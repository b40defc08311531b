import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { SlabId } from '../../../protocols/chunk/types.ts'
import { wait } from '../../jobs/async.ts'
import type { ColumnAt, Locator } from '../contracts.ts'
import type { Redundancy } from '../types.ts'
import { HOLDERS_ENOUGH_MS, LATE_HOLDERS_MS } from './limits.ts'

type Listener = (column: ColumnAt) => void

/**
 * Who holds the slabs of one group, as the search goes on: one search for all slabs that a read needs, and whatever it
 * found for those whose turn comes later.
 */
export class GroupHolders {
  readonly #locator: Pick<Locator, 'holders'>
  readonly #group: SlabId
  readonly #slabs: readonly SlabId[]
  readonly #hints: readonly string[]
  readonly #signal: AbortSignal
  readonly #found = new Map<string, ColumnAt[]>()
  readonly #columns = new Map<string, Set<number>>()
  readonly #listeners = new Map<string, Listener>()
  readonly #peers = new Set<string>()
  readonly #redundancy: Redundancy
  #search: Promise<void>

  constructor(
    locator: Pick<Locator, 'holders'>,
    what: {
      group: SlabId
      slabs: readonly SlabId[]
      redundancy: Redundancy
      hints: readonly string[]
      signal: AbortSignal
    },
  ) {
    this.#locator = locator
    this.#group = what.group
    this.#slabs = what.slabs
    this.#hints = what.hints
    this.#redundancy = what.redundancy
    this.#signal = what.signal
    this.#search = this.#run(HOLDERS_ENOUGH_MS)
  }

  /** Peers that hold something of the group: where the next read should ask first. */
  get peers(): string[] {
    return [...this.#peers]
  }

  /** Settles, never with an error, once the search under way is over. */
  get searched(): Promise<void> {
    return this.#search
  }

  /** Calls `listener` with every holder of the slab, now and as they are found; one listener a slab. */
  listen(slab: SlabId, listener: Listener): void {
    const key = slabKeyOf(slab)
    this.#listeners.set(key, listener)
    for (const column of this.#found.get(key) ?? []) listener(column)
  }

  /** Waits for the search under way, then searches once more after a while. */
  async searchAgain(): Promise<void> {
    const before = this.#search
    await before
    await wait(LATE_HOLDERS_MS, this.#signal)
    // Somebody else who waited for the same search may have begun the next one.
    if (this.#search === before && !this.#signal.aborted) this.#search = this.#run()
    await this.#search
  }

  /** @param enoughMs after this time the search ends as soon as every slab can be read with something to spare */
  async #run(enoughMs?: number): Promise<void> {
    const stop = new AbortController()
    const signal = AbortSignal.any([this.#signal, stop.signal])
    const { k, n } = this.#redundancy
    const timer = setTimeout(() => {
      if (enoughMs !== undefined && this.#haveColumns(Math.min(n, k + 1)))
        stop.abort(new Error('enough are known'))
    }, enoughMs ?? 0)
    try {
      const hints = [...new Set([...this.#peers, ...this.#hints])]
      for await (const column of this.#locator.holders(this.#slabs, { group: this.#group, hints, signal })) {
        this.#add(column)
        if (this.#haveColumns(n)) break
      }
    } catch {
      // Only the reader's own end stops a search, and it knows.
    } finally {
      clearTimeout(timer)
    }
  }

  /** Whether so many columns of every slab are known. */
  #haveColumns(count: number): boolean {
    return this.#slabs.every((slab) => (this.#columns.get(slabKeyOf(slab))?.size ?? 0) >= count)
  }

  #add(column: ColumnAt): void {
    const key = slabKeyOf(column.slab)
    const known = this.#found.get(key) ?? []
    this.#found.set(key, known)
    const columns = this.#columns.get(key) ?? new Set()
    this.#columns.set(key, columns.add(column.column))
    this.#peers.add(column.peer.toString())
    if (!known.some((other) => other.peer.equals(column.peer))) known.push(column)
    this.#listeners.get(key)?.(column)
  }
}
