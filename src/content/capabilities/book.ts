import type { CID } from 'multiformats/cid'
import { forgetOldest } from '../../../protocols/shared/forget-oldest.ts'
import type { RootFilter } from '../../../protocols/content/index.ts'
import type { Capabilities } from '../../../protocols/content/types.ts'
import { MAX_FILTERS_BYTES, MAX_FILTERS_PER_INTERVAL, MAX_PEERS } from './limits.ts'

/** Whether a peer says that it keeps a DAG; `unknown` where it says nothing. */
export type Claim = 'yes' | 'no' | 'unknown'

interface Entry {
  capabilities: Capabilities
  filter: RootFilter | undefined
  /** The block that `filter` is out of, or that was of no use. */
  filterCid: CID | undefined
  /** How many filters were asked for in the interval that began at `sinceMs`, by `performance.now()`. */
  asked: { sinceMs: number; count: number }
}

/** What peers have told, bounded in entries and bytes: those that told longest ago are forgotten first. */
export class CapabilityBook {
  readonly #entries = new Map<string, Entry>()

  /** @returns the filter that is to be fetched, where the one that is known is another */
  told(peer: string, capabilities: Capabilities): Capabilities['filter'] {
    const known = this.#entries.get(peer)
    const { filter } = capabilities
    this.#entries.delete(peer)
    forgetOldest(this.#entries, MAX_PEERS)
    this.#entries.set(peer, {
      capabilities,
      // While a new one is not here the old one is right about most.
      filter: filter === null ? undefined : known?.filter,
      filterCid: known?.filterCid,
      asked: known?.asked ?? { sinceMs: -Infinity, count: 0 },
    })
    return filter === null || known?.filterCid?.equals(filter.cid) === true ? null : filter
  }

  /** Whether a filter of this peer may be asked for now; if so, it counts as asked for. */
  takeTurn(peer: string, intervalMs: number): boolean {
    const entry = this.#entries.get(peer)
    const now = performance.now()
    if (entry === undefined) return false
    if (now - entry.asked.sinceMs >= intervalMs) entry.asked = { sinceMs: now, count: 0 }
    entry.asked.count += 1
    return entry.asked.count <= MAX_FILTERS_PER_INTERVAL
  }

  /** Undefined: the block was no filter that could be used. */
  keepFilter(peer: string, cid: CID, filter: RootFilter | undefined): void {
    const entry = this.#entries.get(peer)
    // It may have told of another one meanwhile.
    if (entry?.capabilities.filter?.cid.equals(cid) !== true) return
    entry.filter = filter
    entry.filterCid = cid
    this.#forgetFilters()
  }

  of(peer: string): Capabilities | undefined {
    return this.#entries.get(peer)?.capabilities
  }

  claims(peer: string, root: CID): Claim {
    const filter = this.#entries.get(peer)?.filter
    if (filter === undefined) return 'unknown'
    return filter.mayHave(root) ? 'yes' : 'no'
  }

  get size(): number {
    return this.#entries.size
  }

  #forgetFilters(): void {
    let bytes = 0
    for (const { filter } of this.#entries.values()) bytes += filter?.bytes ?? 0
    for (const entry of this.#entries.values()) {
      if (bytes <= MAX_FILTERS_BYTES) return
      bytes -= entry.filter?.bytes ?? 0
      entry.filter = undefined
      entry.filterCid = undefined
    }
  }
}
