import type { ContentRouting, Startable } from '@libp2p/interface'
import { contentRoutingSymbol } from '@libp2p/interface'
import type { KadDHT, KadDHTComponents } from '@libp2p/kad-dht'
import { kadDHT } from '@libp2p/kad-dht'
import type { AddressPolicy } from './addresses.ts'
import { clientMode, type DhtNamespace, recordRules } from './dht.ts'
import { DhtSenders } from './dht-senders.ts'
import { DHT_LIMITS } from './limits.ts'
import { keepNewest } from './newest-records.ts'
import { boundDatastore } from './record-quota.ts'
import { knownRoutes } from './routes.ts'
import type { NetworkSettings } from './settings.ts'

/** The DHT of IPFS (libp2p specification kad-dht, section "Provider advertisement"), which Kubo and Helia are in. */
const PROTOCOL = '/ipfs/kad/1.0.0'
const DATASTORE_PREFIX = '/ipfs-dht'

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
  return (components) => {
    const senders = new DhtSenders()
    const dht: KadDHT & Partial<Startable> = kadDHT({
      protocol: PROTOCOL,
      logPrefix: 'libp2p:ipfs-dht',
      datastorePrefix: DATASTORE_PREFIX,
      metricsPrefix: 'libp2p_ipfs_dht',
      // Private addresses lead nowhere, but for those that the operator has named.
      peerInfoMapper: (peer) => ({
        ...peer,
        multiaddrs: peer.multiaddrs.filter((address) => addresses.mayDial(address)),
      }),
      ...clientMode(network),
      ...recordRules(namespaces),
      maxInboundStreams: DHT_LIMITS.maxInboundStreams,
      maxOutboundStreams: DHT_LIMITS.maxOutboundStreams,
    })({
      peerId: components.peerId,
      privateKey: components.privateKey,
      registrar: senders.naming(components.registrar),
      addressManager: components.addressManager,
      peerStore: components.peerStore,
      connectionManager: components.connectionManager,
      events: components.events,
      logger: components.logger,
      ping: components.ping,
      ...(components.metrics === undefined ? {} : { metrics: components.metrics }),
      datastore: keepNewest(
        boundDatastore(components.datastore, {
          prefix: DATASTORE_PREFIX,
          self: components.peerId.toString(),
          maxRecords: DHT_LIMITS.maxStoredRecords,
          maxRecordsPerPeer: DHT_LIMITS.maxStoredRecordsPerPeer,
          sender: () => senders.current(),
        }),
        { prefix: DATASTORE_PREFIX, namespaces },
      ),
    })
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
