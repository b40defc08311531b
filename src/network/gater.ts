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
  /**
   * Asks members of the private network about a peer that is not known as one, before it is refused: it may have come in
   * elsewhere a moment ago. Resolves when that is over; without it nobody is asked.
   */
  refresh?: ((peer: string) => Promise<void>) | undefined
}

/**
 * Asks trust at every step of a connection, as early as there is something to ask with: by address before the
 * handshake, by peer id once the handshake has proven it. Every hook is there, since libp2p takes a missing one for a yes.
 *
 * One connection is asked about more than once on purpose: an address may be dialled without a peer id, and a list may
 * change while the handshake runs.
 */
export function createGater(options: GaterOptions): ConnectionGater {
  const { trust, addresses, refusal, onRefused, refresh } = options

  function refuse(action: Action, decision: Decision): boolean {
    if (!decision.allowed) {
      onRefused(action, decision.reason)
    }
    return !decision.allowed
  }

  async function refusesPeer(peer: PeerId, action: Action, address?: Multiaddr): Promise<boolean> {
    const name = peer.toString()
    const subject = address === undefined ? undefined : { address: address.toString() }
    let decision = trust.decide(name, action, subject)
    if (!decision.allowed && decision.reason === 'not-a-member' && refresh !== undefined) {
      await refresh(name)
      decision = trust.decide(name, action, subject)
    }
    return refuse(action, decision)
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
    denyOutboundRelayedConnection: async (source, destination) =>
      (await refusesPeer(source, 'relay')) || (await refusesPeer(destination, 'relay')),
    denyInboundRelayedConnection: async (relay, remote) =>
      (await refusesPeer(relay, 'accept')) || (await refusesPeer(remote, 'accept')),

    /** Says which addresses the peer store keeps; here true means keep. */
    filterMultiaddrForPeer: (_peer, address) => addresses.mayDial(address),
  }
}
