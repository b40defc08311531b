import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { Locator } from '../contracts.ts'
import { LOCATE_TIMEOUT_MS, MAX_HOLDERS_A_SLAB } from './limits.ts'
import type { OwnerSlab, OwnerState } from './state.ts'

/**
 * Looks for holders of slabs that the owner does not know of, since repair and leaving holders choose new ones, and
 * remembers them as claims: they are told of leases and deletions, and count once they have proven it. Returns how many were found.
 */
export async function findHolders(
  { state, locator }: { state: OwnerState; locator: Pick<Locator, 'holders'> },
  slabs: readonly OwnerSlab[],
  signal: AbortSignal,
): Promise<number> {
  let found = 0
  for (const group of Map.groupBy(slabs, ({ group: id }) => slabKeyOf(id)).values()) {
    const [first] = group
    if (first === undefined) continue
    const known = new Map(
      group.map((slab) => {
        const peers = state.columnsOf(slab.id).filter(({ gone }) => !gone)
        return [slabKeyOf(slab.id), { slab, peers: new Set(peers.map(({ peer }) => peer)) }]
      }),
    )
    const hints = [...new Set([...known.values()].flatMap(({ peers }) => [...peers]))]
    const patience = AbortSignal.any([signal, AbortSignal.timeout(LOCATE_TIMEOUT_MS)])
    try {
      const ids = group.map(({ id }) => id)
      for await (const at of locator.holders(ids, { group: first.group, hints, signal: patience })) {
        const entry = known.get(slabKeyOf(at.slab))
        const peer = at.peer.toString()
        if (entry === undefined || entry.peers.has(peer) || entry.peers.size >= MAX_HOLDERS_A_SLAB) continue
        if (at.column >= entry.slab.n || !isOfIndex(entry.slab, at.indexHash)) continue
        entry.peers.add(peer)
        found += 1
        state.database.writeRelaxed(() => state.addClaim(at.slab, at.column, peer))
      }
    } catch {
      // Who was found until the time was over has to do.
      signal.throwIfAborted()
    }
  }
  return found
}

/** A slab that was never finished has no index yet: whoever has anything of it is told. */
function isOfIndex({ indexHash }: OwnerSlab, found: Uint8Array): boolean {
  return indexHash === null || Buffer.compare(indexHash, found) === 0
}
