import type { PeerId } from '@libp2p/interface'
import type { Chunk, Found, HeldColumn, LocateQuery, SlabId } from '../../../protocols/chunk/types.ts'
import { RateLimits } from '../../gossip/rate.ts'
import type { Policy } from '../../trust/contract.ts'
import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import {
  MAX_ADDRESSES_PER_FOUND,
  MAX_FORWARDED_AT_ONCE,
  MAX_FOUND,
  MAX_HOPS,
  MAX_RATED_PEERS,
  MAX_REMEMBERED_QUERIES,
  MAX_SLABS_PER_QUERY,
  QUERY_FAN_OUT,
  QUERY_HOP_TIMEOUT_MS,
  QUERY_RATE,
} from './limits.ts'
import { someOf } from '../../../protocols/shared/some-of.ts'

export interface LocateAnswererOptions {
  /** Asked for at each query: the service comes to be after the holder that answers for it. */
  chunk: () => Pick<Chunk, 'peers' | 'locate'>
  self: { peer: string; addresses: () => string[] }
  have: (slabs: readonly SlabId[]) => HeldColumn[]
  /** Peers that were said to hold the slab: co-holders, other holders' hints. */
  hinted: (slab: SlabId) => Iterable<string>
  /** Addresses of a peer as far as they are known, without the peer id. */
  addressesOf: (peer: string) => Promise<string[]>
  trust: Policy
  /** Milliseconds that never go back; other than the default only in tests. */
  now?: () => number
}

/**
 * Answers other peers' queries for holders, out of what is held and known here and what a few others answer. It tells
 * who may hold a slab and nothing about it; whoever asks has to know the slab's id.
 */
export function createLocateAnswerer(
  options: LocateAnswererOptions,
): (query: LocateQuery, peer: string, signal: AbortSignal) => Promise<Found[]> {
  const { self, trust } = options
  const rates = new RateLimits(MAX_RATED_PEERS, options.now ?? (() => performance.now()))
  const seen = new Set<string>()
  let forwarding = 0

  return async (query, asker, signal) => {
    if (!rates.take(asker, QUERY_RATE) || !remember(seen, slabKeyOf(query.id))) return []
    const slabs = query.slabs.slice(0, MAX_SLABS_PER_QUERY)
    const found = new FoundSet(slabs)
    for (const { slab } of options.have(slabs)) {
      found.add({ slab, peer: self.peer, addresses: self.addresses().slice(0, MAX_ADDRESSES_PER_FOUND) })
    }
    for (const slab of slabs) {
      for (const peer of options.hinted(slab)) {
        if (found.isFull) break
        if (peer === asker || peer === self.peer) continue
        const addresses = await options.addressesOf(peer).catch((): string[] => [])
        found.add({ slab, peer, addresses: addresses.slice(0, MAX_ADDRESSES_PER_FOUND) })
      }
    }
    // What a peer claims about hops is not believed beyond what this network allows.
    const hopsLeft = Math.min(query.hopsLeft, MAX_HOPS - 1)
    if (hopsLeft > 0 && !found.isFull && forwarding < MAX_FORWARDED_AT_ONCE) {
      forwarding += 1
      try {
        const others = options
          .chunk()
          .peers()
          .filter((peer) => mayForward(peer, asker))
        const onward = { id: query.id, slabs, hopsLeft: hopsLeft - 1 }
        const patience = AbortSignal.any([signal, AbortSignal.timeout(QUERY_HOP_TIMEOUT_MS * hopsLeft)])
        await Promise.all(
          someOf(others, QUERY_FAN_OUT).map(async (peer) => {
            const answers = await options
              .chunk()
              .locate(peer, onward, patience)
              .catch((): Found[] => [])
            for (const answer of answers) if (answer.peer !== asker) found.add(answer)
          }),
        )
      } finally {
        forwarding -= 1
      }
    }
    return found.entries
  }

  function mayForward(peer: PeerId, asker: string): boolean {
    const name = peer.toString()
    return name !== asker && name !== self.peer && trust.decide(name, 'fetch').allowed
  }
}

/** False: it was there. */
function remember(seen: Set<string>, id: string): boolean {
  if (seen.has(id)) return false
  seen.add(id)
  const [oldest] = seen
  if (seen.size > MAX_REMEMBERED_QUERIES && oldest !== undefined) seen.delete(oldest)
  return true
}

class FoundSet {
  readonly entries: Found[] = []
  readonly #wanted: ReadonlySet<string>
  readonly #keys = new Set<string>()

  constructor(slabs: readonly SlabId[]) {
    this.#wanted = new Set(slabs.map(slabKeyOf))
  }

  get isFull(): boolean {
    return this.entries.length >= MAX_FOUND
  }

  add(found: Found): void {
    const slab = slabKeyOf(found.slab)
    const key = `${slab}/${found.peer}`
    if (this.isFull || !this.#wanted.has(slab) || this.#keys.has(key)) return
    this.#keys.add(key)
    this.entries.push({ ...found, addresses: found.addresses.slice(0, MAX_ADDRESSES_PER_FOUND) })
  }
}
