import type { ContentRouting, Startable } from '@libp2p/interface'
import { contentRoutingSymbol } from '@libp2p/interface'
import type { KadDHT, KadDHTComponents } from '@libp2p/kad-dht'
import type { AddressPolicy } from './addresses.ts'
import { boundedDht, type DhtNamespace } from './dht.ts'
import { knownRoutes } from './routes.ts'
import type { NetworkSettings } from './settings.ts'

/** The DHT of IPFS (libp2p specification kad-dht, section "Provider advertisement"), which Kubo and Helia are in. */
const PROTOCOL = '/ipfs/kad/1.0.0'

/** What public content asks of the DHT of IPFS. */
export interface IpfsDht extends Startable {
  /** For records of names. */
  readonly dht: KadDHT
  readonly routing: ContentRouting
  /** Peers in its routing table. */
  routes(): number
}

/**
 * The DHT of IPFS, for nodes in public mode, beside that of the network itself. libp2p asks every service that calls itself a router
 * for everything: this one does not, so that what is not public content (groups of sealed columns above all) never
 * gets there. Whoever speaks of public content asks it by `publicRouting`.
 */
export function ipfsDht(
  { network }: NetworkSettings,
  addresses: Pick<AddressPolicy, 'mayDial'>,
  namespaces: readonly DhtNamespace[],
): (components: KadDHTComponents) => IpfsDht {
  const create = boundedDht(network, {
    protocol: PROTOCOL,
    logPrefix: 'libp2p:ipfs-dht',
    datastorePrefix: '/ipfs-dht',
    metricsPrefix: 'libp2p_ipfs_dht',
    // Private addresses lead nowhere, but for those that the operator has named.
    peerInfoMapper: (peer) => ({
      ...peer,
      multiaddrs: peer.multiaddrs.filter((address) => addresses.mayDial(address)),
    }),
    namespaces,
  })
  return (components) => {
    const dht: KadDHT & Partial<Startable> = create(components)
    const { [contentRoutingSymbol]: routing } = dht as unknown as { [contentRoutingSymbol]: ContentRouting }
    return {
      dht,
      routing,
      routes: () => knownRoutes(dht),
      start: () => dht.start?.(),
      stop: () => dht.stop?.(),
    }
  }
}
