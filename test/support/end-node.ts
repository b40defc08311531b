import type { Libp2p } from '@libp2p/interface'

/**
 * Cuts every connection of a node that has no more to say. A test that is over has no use for an orderly goodbye, and libp2p
 * waits half a second for one from a peer that stops at the same time.
 */
export function cutConnections(libp2p: Pick<Libp2p, 'getConnections'>): void {
  for (const connection of libp2p.getConnections()) connection.abort(new Error('the test is over'))
}

/** Stops a node without a goodbye. What a test wants to see of an orderly stop it sees of `libp2p.stop()`. */
export async function endNode(libp2p: Libp2p): Promise<void> {
  cutConnections(libp2p)
  await libp2p.stop()
}
