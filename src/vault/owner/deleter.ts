import { ChunkStatus } from '../../../protocols/chunk/errors.ts'
import { signDeletion } from '../../../protocols/chunk/format/index.ts'
import type { Chunk } from '../../../protocols/chunk/types.ts'
import { type Addressed, signerOf, tellHolders } from './statements.ts'
import type { OwnerSlab, OwnerState } from './state.ts'

export interface DeleterOptions {
  state: OwnerState
  ownerSecret: () => Uint8Array
  networkName: string
  chunk: Pick<Chunk, 'peers' | 'remove'>
}

export interface DeletedSlabs {
  /** Columns whose holders said that they are gone. */
  confirmed: number
  /** Columns whose holders could not be reached. */
  pending: number
  pendingPeers: Set<string>
}

/**
 * Tells every known holder of slabs that they are deleted, and records who confirmed. A slab that all have confirmed leaves
 * the owner's tables; the others stay, to be told again. `first` gets the signed deletions, one a slab, before anybody else:
 * what must not be missed if the node ends between.
 */
export async function deleteSlabs(
  { state, ownerSecret, networkName, chunk }: DeleterOptions,
  slabs: readonly OwnerSlab[],
  signal: AbortSignal,
  first?: (deletions: Addressed['signed'][]) => Promise<void>,
): Promise<DeletedSlabs> {
  const result: DeletedSlabs = { confirmed: 0, pending: 0, pendingPeers: new Set() }
  const deletions: Addressed['signed'][] = []
  const statements: Addressed[] = []
  const waiting = new Map<OwnerSlab, number>()
  for (const slab of slabs) {
    const { signed } = signDeletion(signerOf(ownerSecret(), slab), networkName, { atMs: Date.now() })
    deletions.push(signed)
    const peers = new Set<string>()
    for (const { peer, gone } of state.columnsOf(slab.id)) {
      if (gone) result.confirmed += 1
      else peers.add(peer)
    }
    waiting.set(slab, peers.size)
    for (const peer of peers) statements.push({ slab, peer, signed })
  }
  await first?.(deletions)
  const confirmed: Addressed[] = []
  await tellHolders(statements, {
    connected: chunk.peers(),
    send: (peer, signed, patience) => chunk.remove(peer, signed, patience),
    onAnswer(statement, status) {
      // Whoever does not hold it keeps the tombstone all the same: that is a confirmation too.
      if (status === ChunkStatus.ok || status === ChunkStatus.notHeld || status === ChunkStatus.tombstoned) {
        confirmed.push(statement)
        result.confirmed += 1
        waiting.set(statement.slab, (waiting.get(statement.slab) ?? 1) - 1)
      } else {
        result.pending += 1
        result.pendingPeers.add(statement.peer)
      }
    },
    signal,
  })
  const nowMs = Date.now()
  await state.database.write(() => {
    for (const { slab, peer } of confirmed) state.setGone(slab.id, peer)
    for (const [slab, count] of waiting)
      if (count === 0 || slab.leaseUntilMs < nowMs) state.removeSlab(slab.id)
  })
  return result
}
