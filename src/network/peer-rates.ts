import type { Connection, Libp2pEvents, Startable, TypedEventTarget } from '@libp2p/interface'
import type { Evidence } from '../trust/contract.ts'
import { PEER_RATE_LIMITS } from './peer-limits.ts'

export interface PeerRatesComponents {
  events: TypedEventTarget<Libp2pEvents>
}

/** What one peer has done lately. Tokens come back with time, up to what a peer may do at once. */
interface Allowance {
  connections: number
  streams: number
  atMs: number
  /** Refused until then. */
  outUntilMs: number
  openConnections: number
}

/**
 * Holds each peer to a rate of connections and of streams, whatever it does with them: each costs a handshake or a
 * negotiation and a write to the peer store before any protocol's own limit is asked. One that goes far beyond is cut off
 * and refused for a while; that is evidence.
 *
 * By address there is `network.maxInboundPerIpPerSecond`, which holds before it is known who comes.
 */
export interface PeerRates {
  /** Asked by the gater once per inbound connection, when it is proven whose it is. */
  admits(peer: string): boolean
  service: (components: PeerRatesComponents) => Startable
}

export function createPeerRates(trust: Evidence): PeerRates {
  const peers = new Map<string, Allowance>()

  function allowanceOf(peer: string): Allowance {
    const now = performance.now()
    let allowance = peers.get(peer)
    if (allowance === undefined) {
      if (peers.size >= PEER_RATE_LIMITS.maxPeers) forgetSome(now)
      allowance = {
        connections: PEER_RATE_LIMITS.connectionBurst,
        streams: PEER_RATE_LIMITS.streamBurst,
        atMs: now,
        outUntilMs: 0,
        openConnections: 0,
      }
      peers.set(peer, allowance)
    }
    const seconds = (now - allowance.atMs) / 1000
    const { connectionBurst, connectionsPerMinute, streamBurst, streamsPerSecond } = PEER_RATE_LIMITS
    allowance.connections = Math.min(
      connectionBurst,
      allowance.connections + (seconds * connectionsPerMinute) / 60,
    )
    allowance.streams = Math.min(streamBurst, allowance.streams + seconds * streamsPerSecond)
    allowance.atMs = now
    return allowance
  }

  /** Who is not connected and not refused can begin anew without gaining anything much; then the oldest. */
  function forgetSome(now: number): void {
    for (const [peer, { openConnections, outUntilMs, atMs }] of peers) {
      const isQuiet = openConnections === 0 && outUntilMs <= now && now - atMs > 60_000
      if (isQuiet) peers.delete(peer)
    }
    const surplus = peers.size - PEER_RATE_LIMITS.maxPeers * (15 / 16)
    if (surplus > 0) for (const peer of [...peers.keys()].slice(0, surplus)) peers.delete(peer)
  }

  function exceeded(peer: string, allowance: Allowance, limit: string): void {
    allowance.outUntilMs = performance.now() + PEER_RATE_LIMITS.outMs
    trust.report(peer, 'limit-exceeded', { protocol: 'libp2p', limit })
  }

  /** Streams come as events of the muxer, ahead of their negotiation; libp2p's connection keeps it to itself. */
  function watch(connection: Connection): void {
    const peer = connection.remotePeer.toString()
    const allowance = allowanceOf(peer)
    allowance.openConnections += 1
    connection.addEventListener('close', () => {
      allowance.openConnections -= 1
    })
    const { muxer } = connection as Connection & { muxer?: EventTarget }
    muxer?.addEventListener('stream', () => {
      const current = allowanceOf(peer)
      current.streams -= 1
      if (current.streams >= 0 || connection.status !== 'open') return
      exceeded(peer, current, 'streams-per-second')
      connection.abort(new Error('the peer opens streams faster than it may'))
    })
  }

  const onOpen = (event: CustomEvent<Connection>): void => watch(event.detail)

  return {
    admits(peer) {
      const allowance = allowanceOf(peer)
      if (allowance.outUntilMs > performance.now()) return false
      if (allowance.openConnections >= PEER_RATE_LIMITS.maxConnections) return false
      allowance.connections -= 1
      if (allowance.connections >= 0) return true
      exceeded(peer, allowance, 'connections-per-minute')
      return false
    },
    service: ({ events }) => ({
      start: () => events.addEventListener('connection:open', onOpen),
      stop() {
        events.removeEventListener('connection:open', onOpen)
        peers.clear()
      },
    }),
  }
}
