import type {
  Connection,
  IdentifyResult,
  Libp2pEvents,
  PeerId,
  Startable,
  TypedEventTarget,
} from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { AddressPolicy } from './addresses.ts'
import type { PeerHistory } from './history/index.ts'
import { CONNECTION_LIMITS } from './limits.ts'
import type { PeerTraffic } from './traffic.ts'

export interface RecorderComponents {
  events: TypedEventTarget<Libp2pEvents>
}

export interface RecorderOptions {
  history: PeerHistory
  traffic: PeerTraffic
  addresses: AddressPolicy
}

/** Multicodec of the component that names a peer. */
const P2P_CODE = 421

/**
 * Writes what happens to connections into the history. Only peers with which a handshake succeeded get there, and of
 * their addresses those that this node would dial.
 */
export function recorder({
  history,
  traffic,
  addresses,
}: RecorderOptions): (components: RecorderComponents) => Startable {
  /** The connection whose latency is known best, by peer; of connected peers only. */
  const latest = new Map<string, Connection>()

  function onOpen({ detail: connection }: CustomEvent<Connection>): void {
    const peer = connection.remotePeer.toString()
    latest.set(peer, connection)
    // Where a peer came from is a port that nobody listens on.
    if (connection.direction === 'outbound') history.connected(peer, bare(connection.remoteAddr))
    else history.connected(peer)
  }

  function onIdentify({ detail }: CustomEvent<IdentifyResult>): void {
    const offered = detail.listenAddrs.slice(0, CONNECTION_LIMITS.maxAddressesPerPeer)
    history.identified(detail.peerId.toString(), {
      agent: detail.agentVersion ?? null,
      addresses: offered.filter((address) => addresses.mayDial(address)).map(bare),
    })
  }

  function onDisconnect({ detail }: CustomEvent<PeerId>): void {
    const peer = detail.toString()
    history.disconnected(peer, latest.get(peer)?.rtt ?? null)
    latest.delete(peer)
    traffic.forget(peer)
  }

  return ({ events }) => ({
    start() {
      history.start()
      events.addEventListener('connection:open', onOpen)
      events.addEventListener('peer:identify', onIdentify)
      events.addEventListener('peer:disconnect', onDisconnect)
    },
    stop() {
      events.removeEventListener('connection:open', onOpen)
      events.removeEventListener('peer:identify', onIdentify)
      events.removeEventListener('peer:disconnect', onDisconnect)
      for (const [peer, connection] of latest) history.disconnected(peer, connection.rtt ?? null)
      latest.clear()
      history.stop()
    },
  })
}

/** Without the peer id at the end, which the row of the history has already. */
function bare(address: Multiaddr): string {
  const last = address.getComponents().at(-1)
  return (last?.code === P2P_CODE ? address.decapsulateCode(P2P_CODE) : address).toString()
}
