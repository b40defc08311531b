import type { CID } from 'multiformats/cid'
import type { RootFilter } from '../../../protocols/content/index.ts'
import type { Capabilities } from '../../../protocols/content/types.ts'
import { MAX_FILTERS_BYTES, MAX_PEERS } from './limits.ts'

/** Whether a peer says that it keeps a DAG; `unknown` where it says nothing. */
export type Claim = 'yes' | 'no' | 'unknown'

interface Entry {
  capabilities: Capabilities
  filter: RootFilter | undefined
  /** The block that `filter` is out of, or that was of no use. */
  filterCid: CID | undefined
  /** When a filter was asked for last, by `performance.now()`. */
  filterAskedMs: number
}

/** What peers have told, bounded in entries and bytes: those that told longest ago are forgotten first. */
export class CapabilityBook {
  readonly #entries = new Map<string, Entry>()

  /** @returns the filter that is to be fetched, where the one that is known is another */
  told(peer: string, capabilities: Capabilities): Capabilities['filter'] {
    const known = this.#entries.get(peer)
    const { filter } = capabilities
    this.#entries.delete(peer)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size >= MAX_PEERS && oldest !== undefined) this.#entries.delete(oldest)
    this.#entries.set(peer, {
      capabilities,
      // While a new one is not here the old one is right about most.
      filter: filter === null ? undefined : known?.filter,
      filterCid: known?.filterCid,
      filterAskedMs: known?.filterAskedMs ?? -Infinity,
    })
    return filter === null || known?.filterCid?.equals(filter.cid) === true ? null : filter
  }

  /** Whether a filter of this peer may be asked for now; if so, it counts as asked for. */
  takeTurn(peer: string, intervalMs: number): boolean {
    const entry = this.#entries.get(peer)
    const now = performance.now()
    if (entry === undefined || now - entry.filterAskedMs < intervalMs) return false
    entry.filterAskedMs = now
    return true
  }

  /** Undefined: the block was no filter that could be used. */
  keepFilter(peer: string, cid: CID, filter: RootFilter | undefined): void {
    const entry = this.#entries.get(peer)
    if (entry === undefined) return
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
