import type { ConnectionGater, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Action, Decision, Policy } from '../trust/contract.ts'
import type { AddressPolicy } from './addresses.ts'
import { hostOf } from './addresses.ts'

/** The policy, and where it has one, its word about addresses before it is known who is behind them. */
export interface ConnectionPolicy extends Policy {
  decideAddress?(address: string, family: 'ipv4' | 'ipv6'): Decision
}

/** Why a connection was refused, for metrics: the reasons of trust, and the network's own. */
export type RefusalReason = Extract<Decision, { allowed: false }>['reason'] | 'private-address' | 'full'

export interface GaterOptions {
  trust: ConnectionPolicy
  addresses: AddressPolicy
  /** Why an inbound connection of this peer may not be taken now; asked once for each, when it is proven whose it is. */
  refusal: (peer: string) => 'full' | 'rate' | undefined
  onRefused: (action: Action, reason: RefusalReason) => void
}

/**
 * Asks trust at every step of a connection, as early as there is something to ask with: by address before the
 * handshake, by peer id once the handshake has proven it. Every hook is there, since libp2p takes a missing one for a yes.
 *
 * One connection is asked about more than once on purpose: an address may be dialled without a peer id, and a list may
 * change while the handshake runs.
 */
export function createGater({ trust, addresses, refusal, onRefused }: GaterOptions): ConnectionGater {
  function refuse(action: Action, decision: Decision): boolean {
    if (!decision.allowed) {
      onRefused(action, decision.reason)
    }
    return !decision.allowed
  }

  function refusesPeer(peer: PeerId, action: Action, address?: Multiaddr): boolean {
    return refuse(
      action,
      trust.decide(
        peer.toString(),
        action,
        address === undefined ? undefined : { address: address.toString() },
      ),
    )
  }

  function refusesHost(address: Multiaddr, action: Action): boolean {
    const host = hostOf(address)
    if (host === undefined || trust.decideAddress === undefined) {
      return false
    }
    return refuse(action, trust.decideAddress(host.address, host.family))
  }

  return {
    denyDialPeer: (peer) => refusesPeer(peer, 'dial'),
    denyDialMultiaddr(address) {
      if (!addresses.mayDial(address)) {
        onRefused('dial', 'private-address')
        return true
      }
      return refusesHost(address, 'dial')
    },
    denyOutboundConnection: (peer, connection) => refusesPeer(peer, 'dial', connection.remoteAddr),
    denyOutboundEncryptedConnection: (peer, connection) => refusesPeer(peer, 'dial', connection.remoteAddr),
    denyOutboundUpgradedConnection: (peer, connection) => refusesPeer(peer, 'dial', connection.remoteAddr),

    denyInboundConnection: (connection) => refusesHost(connection.remoteAddr, 'accept'),
    denyInboundEncryptedConnection: (peer, connection) => refusesPeer(peer, 'accept', connection.remoteAddr),
    denyInboundUpgradedConnection(peer, connection) {
      // libp2p looks at the limit before the handshake and does not count the handshakes under way.
      const reason = refusal(peer.toString())
      if (reason !== undefined) {
        onRefused('accept', reason)
        return true
      }
      return refusesPeer(peer, 'accept', connection.remoteAddr)
    },

    denyInboundRelayReservation: (source) => refusesPeer(source, 'relay'),
    denyOutboundRelayedConnection: (source, destination) =>
      refusesPeer(source, 'relay') || refusesPeer(destination, 'relay'),
    denyInboundRelayedConnection: (relay, remote) =>
      refusesPeer(relay, 'accept') || refusesPeer(remote, 'accept'),

    /** Says which addresses the peer store keeps; here true means keep. */
    filterMultiaddrForPeer: (_peer, address) => addresses.mayDial(address),
  }
}
