import type { Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'

/** Multicodec of the component that names a peer. */
const P2P_CODE = 421

/** The IP address that a connected peer comes from, where it has one. Through a relay it would be the relay's. */
export function hostOf(libp2p: Pick<Libp2p, 'getConnections'>, peer: PeerId): string | undefined {
  for (const { remoteAddr } of libp2p.getConnections(peer)) {
    const components = remoteAddr.getComponents()
    if (components.some(({ name }) => name === 'p2p-circuit')) continue
    for (const { name, value } of components) {
      if (name === 'ip4' || name === 'ip6') return value
    }
  }
  return undefined
}

/** Addresses of a peer as far as they are known, without the peer id. */
export async function addressesOf(libp2p: Pick<Libp2p, 'peerStore'>, peer: string): Promise<string[]> {
  try {
    const { addresses } = await libp2p.peerStore.get(peerIdFromString(peer))
    return addresses.map(({ multiaddr }) => withoutPeer(multiaddr))
  } catch {
    // Never seen, or forgotten.
    return []
  }
}

export function withoutPeer(address: Multiaddr): string {
  return address.decapsulateCode(P2P_CODE).toString()
}
