import type { Connection, PeerId } from '@libp2p/interface'

/** Of libp2p's connection manager, what a protocol needs to open streams. */
export interface Connections {
  getConnections(peer: PeerId): Connection[]
  openConnection(peer: PeerId, options: { signal: AbortSignal }): Promise<Connection>
}

/**
 * A connection to open a stream on: a direct one, else the one through a relay, else a new one. libp2p's own
 * `openConnection` passes over connections with limits, so that each stream would dial the peer again: its unreachable
 * addresses first, then the relay for one more connection.
 */
export async function connectionTo(
  peer: PeerId,
  connections: Connections,
  signal: AbortSignal,
): Promise<Connection> {
  const open = connections.getConnections(peer).filter(({ status }) => status === 'open')
  const known = open.find(({ limits }) => limits === undefined) ?? open.at(-1)
  return known ?? (await connections.openConnection(peer, { signal }))
}
