import { isLinkLocal, isPrivate } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import { forgetOldest } from '../../protocols/shared/forget-oldest.ts'
import type { NetworkSettings } from './settings.ts'

/** Addresses that an operator or the local network named, kept for the gater; more are forgotten oldest first. */
const PERMITTED_MAX_ADDRESSES = 1_024

/** Which addresses this node dials and announces. */
export interface AddressPolicy {
  /**
   * In public mode a private address that came from the Internet leads nowhere, or to a machine of this operator's own
   * network that a stranger wants poked: it is not dialled. What an operator or mDNS named is.
   */
  mayDial(address: Multiaddr): boolean
  /**
   * What the outside learns about this node. In public mode private addresses are of no use there and tell about the
   * house; a link-local one is of no use anywhere without the name of the asker's own interface.
   */
  announced(addresses: Multiaddr[]): Multiaddr[]
  /** Lets a private address be dialled in public mode: it was named by the operator, or by mDNS on the local network. */
  permit(address: Multiaddr): void
}

export function createAddressPolicy({ network }: NetworkSettings): AddressPolicy {
  if (network.mode === 'private') {
    return {
      mayDial: () => true,
      announced: (addresses) => addresses.filter((address) => !isLinkLocal(address)),
      permit() {},
    }
  }
  const permitted = new Set<string>()
  return {
    mayDial: (address) => !isPrivate(address) || permitted.has(withoutPeer(address)),
    announced: (addresses) => addresses.filter((address) => !isPrivate(address) && !isLinkLocal(address)),
    permit(address) {
      if (!isPrivate(address)) {
        return
      }
      forgetOldest(permitted, PERMITTED_MAX_ADDRESSES)
      permitted.add(withoutPeer(address))
    },
  }
}

function withoutPeer(address: Multiaddr): string {
  return address.decapsulateCode(P2P_CODE).toString()
}

/** Multicodec of the component that names a peer. */
const P2P_CODE = 421

/** The text form of the peer id that an address ends in, if it does. */
export function peerOf(address: Multiaddr): string | undefined {
  return address.getComponents().findLast(({ code }) => code === P2P_CODE)?.value
}

/** `::ffff:7f00:1` is 127.0.0.1 as multiaddrs spell it. */
function mappedHex(value: string): string | undefined {
  const [, high, low] = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/i.exec(value) ?? []
  if (high === undefined || low === undefined) return undefined
  const bytes = [high, low]
    .map((text) => Number.parseInt(text, 16))
    .flatMap((word) => [word >> 8, word & 255])
  return bytes.join('.')
}

/** The IP address of an address, where it has one. */
export function hostOf(address: Multiaddr): { address: string; family: 'ipv4' | 'ipv6' } | undefined {
  for (const { name, value } of address.getComponents()) {
    if (value !== undefined && (name === 'ip4' || name === 'ip6')) {
      // A socket for both families gives IPv4 addresses in the form of IPv6; lists of addresses know them as what they are.
      const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(value)?.[1] ?? mappedHex(value)
      if (mapped !== undefined) return { address: mapped, family: 'ipv4' }
      return { address: value, family: name === 'ip4' ? 'ipv4' : 'ipv6' }
    }
  }
  return undefined
}
