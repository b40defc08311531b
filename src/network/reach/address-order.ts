import type { Address } from '@libp2p/interface'
import { isLoopback, isPrivate, publicAddressesFirst, reliableTransportsFirst } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import { hostOf } from '../addresses.ts'
import { isRelayed, shapeOf } from '../transports/shape.ts'
import type { Interfaces } from './interfaces.ts'

/**
 * In which order the addresses of one peer are dialled. libp2p tries them one after another, ten seconds each, with
 * relayed ones last: a peer behind a NAT names eight private addresses of its own house first, and the time for the whole
 * dial is over before the relay's turn. A private address that is in none of this machine's networks leads nowhere, or to
 * somebody else, so it comes after the relay.
 */
export function addressOrder(
  interfaces: Interfaces,
  options: { hasStun: boolean },
): (a: Address, b: Address) => -1 | 0 | 1 {
  const rank = (address: Multiaddr): number => {
    if (isRelayed(address)) {
      const isWebrtc = shapeOf(address).endsWith('/webrtc')
      // Without a STUN server it fails between two NATs, after a long time.
      if (isWebrtc) return options.hasStun ? RANKS.arranged : RANKS.unlikely
      return RANKS.relayed
    }
    if (isLoopback(address)) return RANKS.loopback
    const host = hostOf(address)
    const isForeign =
      host !== undefined && isPrivate(address) && !interfaces.isNear(host.address, host.family)
    return isForeign ? RANKS.foreign : RANKS.direct
  }
  return (a, b) =>
    signOf(rank(a.multiaddr) - rank(b.multiaddr)) ||
    publicAddressesFirst(a.multiaddr, b.multiaddr) ||
    signOf(Number(b.isCertified) - Number(a.isCertified)) ||
    reliableTransportsFirst(a.multiaddr, b.multiaddr)
}

function signOf(difference: number): -1 | 0 | 1 {
  return difference < 0 ? -1 : difference > 0 ? 1 : 0
}

const RANKS = { direct: 0, loopback: 1, arranged: 2, relayed: 3, unlikely: 4, foreign: 5 } as const
