import type { Connection, Libp2pEvents, PeerStore, Startable, TypedEventTarget } from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'
import { forgetKeepAlive } from './keep-alive.ts'
import type { ConnectionWorth } from './worth.ts'

export interface CapacityComponents {
  connectionManager: ConnectionManager
  events: TypedEventTarget<Libp2pEvents>
  peerStore: PeerStore
}

/**
 * Holds the number of connections at `network.maxConnections`. libp2p's own limit does not: it counts before the
 * handshake and not what is within it, and its pruner passes over connections with gossip or Bitswap streams, which is all of them.
 *
 * What comes from outside when there is no room is refused, unless its peer is worth more than the least of those that are
 * connected: then that one is closed. What this node opened itself makes room in the same way. Bootstrap peers and
 * protected ones are never closed.
 */
export interface Capacity {
  /** Asked by the gater at the end of an inbound handshake. */
  admits: (peer: string) => boolean
  service: (components: CapacityComponents) => Startable
}

/** `onEvicted` is called for each connection that is closed for another one. */
export function createCapacity(
  maxConnections: number,
  worth: ConnectionWorth,
  onEvicted: () => void = () => {},
): Capacity {
  let components: CapacityComponents | undefined
  /** On their way out: they count no more. */
  const leaving = new Set<string>()

  const open = (): Connection[] =>
    (components?.connectionManager.getConnections() ?? []).filter(
      ({ id, status }) => status === 'open' && !leaving.has(id),
    )

  function onOpen(event: CustomEvent<Connection>): void {
    const opened = event.detail
    const connections = open()
    // libp2p may or may not have put the new one on its list by now.
    const others = connections.filter(({ id }) => id !== opened.id)
    const surplus = others.length + 1 - maxConnections
    if (surplus <= 0) return
    // A dial of our own is not undone by its own success.
    const ranked = worth.ranked(opened.direction === 'outbound' ? others : [...others, opened])
    for (const connection of ranked.slice(0, surplus)) void close(connection)
  }

  async function close(connection: Connection): Promise<void> {
    leaving.add(connection.id)
    onEvicted()
    if (components !== undefined) await forgetKeepAlive(components.peerStore, connection.remotePeer)
    connection.abort(new Error('this node has as many connections as it may'))
  }

  const onClose = (event: CustomEvent<Connection>): void => void leaving.delete(event.detail.id)

  return {
    admits(peer) {
      const connections = open()
      if (connections.length < maxConnections) return true
      const [least] = worth.ranked(connections)
      return least !== undefined && worth.isWorthMore(peer, least)
    },
    service(used) {
      const { events } = used
      return {
        start() {
          components = used
          events.addEventListener('connection:open', onOpen)
          events.addEventListener('connection:close', onClose)
        },
        stop() {
          events.removeEventListener('connection:open', onOpen)
          events.removeEventListener('connection:close', onClose)
          components = undefined
          leaving.clear()
        },
      }
    },
  }
}
