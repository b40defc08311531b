import type { PeerId } from '@libp2p/interface'
import type { Chunk, SlabId } from '../../../protocols/chunk/types.ts'
import { REQUEST_TIMEOUT_MS } from './limits.ts'

/** Tells the holders of a group of each other. They may be told wrong, or not at all: a hint is a place to ask. */
export async function hintHolders(
  { chunk }: { chunk: Pick<Chunk, 'hint'> },
  group: { id: SlabId; peers: readonly PeerId[] },
  signal: AbortSignal,
): Promise<void> {
  const hint = { group: group.id, peers: group.peers.map((peer) => peer.toString()) }
  const patience = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)])
  await Promise.allSettled(group.peers.map((peer) => chunk.hint(peer, hint, patience)))
}
