import type { Connection, Libp2pEvents, Startable, TypedEventTarget } from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'

export interface CapacityComponents {
  connectionManager: ConnectionManager
  events: TypedEventTarget<Libp2pEvents>
}

/**
 * Holds the number of connections at `network.maxConnections`. libp2p's own limit does not: it counts before the
 * handshake and not what is within it, and its pruner passes over connections with gossip or Bitswap streams, which is all of them.
 *
 * What comes from outside is refused when there is no room. What this node opened itself makes room: the connection
 * that is given up is inbound before outbound, and among those the one with the fewest streams, then the youngest.
 */
export interface Capacity {
  /** Asked by the gater at the end of an inbound handshake. */
  isFull: () => boolean
  service: (components: CapacityComponents) => Startable
}

export function createCapacity(maxConnections: number): Capacity {
  let manager: ConnectionManager | undefined

  function onOpen(event: CustomEvent<Connection>): void {
    const connections = manager?.getConnections() ?? []
    if (connections.length <= maxConnections) {
      return
    }
    const opened = event.detail
    const victim =
      opened.direction === 'inbound'
        ? opened
        : connections
            .filter((connection) => connection.id !== opened.id)
            .toSorted(byWorth)
            .at(0)
    victim?.abort(new Error('this node has as many connections as it may'))
  }

  return {
    isFull: () => (manager?.getConnections().length ?? 0) >= maxConnections,
    service({ connectionManager, events }) {
      return {
        start() {
          manager = connectionManager
          events.addEventListener('connection:open', onOpen)
        },
        stop() {
          events.removeEventListener('connection:open', onOpen)
          manager = undefined
        },
      }
    },
  }
}

/** The least worth first. */
function byWorth(a: Connection, b: Connection): number {
  if (a.direction !== b.direction) {
    return a.direction === 'inbound' ? -1 : 1
  }
  return a.streams.length - b.streams.length || b.timeline.open - a.timeline.open
}
