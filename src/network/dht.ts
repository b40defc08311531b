import type { KadDHT, KadDHTComponents, PeerInfoMapper, SelectFn, ValidateFn } from '@libp2p/kad-dht'
import { kadDHT, passthroughMapper, removePrivateAddressesMapper } from '@libp2p/kad-dht'
import { dhtRecordInvalid } from './errors.ts'
import { DHT_LIMITS } from './limits.ts'
import { withKnownAddresses } from './dht-addresses.ts'
import { DhtSenders } from './dht-senders.ts'
import { keepNewest } from './newest-records.ts'
import { boundDatastore } from './record-quota.ts'
import type { NetworkSettings } from './settings.ts'
import { networkPrefix } from './settings.ts'

/**
 * A kind of record that the network's DHT keeps under `/<namespace>/…`. Records of other namespaces are refused, here
 * and by every other node.
 *
 * Traps of kad-dht 16: a PUT_VALUE replaces what is stored without asking `select`. Nodes of this version compare first
 * (`keepNewest`), others may not: whoever puts must read first, and whoever reads must compare. A put neither checks the record
 * nor fails when every other node has refused it. And the node that sent a record is not known to `validate`: a record
 * must prove itself.
 */
export interface DhtNamespace {
  name: string
  /** Throws where the record is not valid for its key. */
  validate: ValidateFn
  /** The index of the best of several valid records. */
  select: SelectFn
}

/** The DHT of the network itself: `/p2pnode/<name>/kad/1.0.0`. */
export function networkDht(
  settings: NetworkSettings,
  namespaces: readonly DhtNamespace[],
): (components: KadDHTComponents) => KadDHT {
  const { network } = settings
  return boundedDht(network, {
    protocol: `${networkPrefix(network.name)}/kad/1.0.0`,
    logPrefix: 'libp2p:p2pnode-dht',
    datastorePrefix: '/dht',
    metricsPrefix: 'libp2p_p2pnode_dht',
    // The default mapper removes private addresses, which leaves the routing table of a local network empty.
    peerInfoMapper: network.mode === 'public' ? removePrivateAddressesMapper : passthroughMapper,
    namespaces,
  })
}

/** What sets one DHT apart from another. */
export interface DhtKind {
  /** The id of its protocol on the wire. */
  protocol: string
  logPrefix: string
  /** Where its records lie in the datastore. */
  datastorePrefix: string
  metricsPrefix: string
  peerInfoMapper: PeerInfoMapper
  namespaces: readonly DhtNamespace[]
}

/** A DHT with every bound set: streams, records in all and of each peer; older records never replace newer ones. */
export function boundedDht(
  network: NetworkSettings['network'],
  { namespaces, ...kind }: DhtKind,
): (components: KadDHTComponents) => KadDHT {
  const init: Parameters<typeof kadDHT>[0] = {
    ...kind,
    ...clientMode(network),
    ...recordRules(namespaces),
    maxInboundStreams: DHT_LIMITS.maxInboundStreams,
    maxOutboundStreams: DHT_LIMITS.maxOutboundStreams,
  }
  const prefix = kind.datastorePrefix
  return (components) => {
    const senders = new DhtSenders()
    const dht = kadDHT(init)({
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
          prefix,
          self: components.peerId.toString(),
          maxRecords: DHT_LIMITS.maxStoredRecords,
          maxRecordsPerPeer: DHT_LIMITS.maxStoredRecordsPerPeer,
          sender: () => senders.current(),
        }),
        { prefix, namespaces },
      ),
    })
    return withKnownAddresses(dht, components.peerStore)
  }
}

/** What kad-dht has to know of the kinds of records that it keeps. */
function recordRules(namespaces: readonly DhtNamespace[]): {
  validators: Record<string, ValidateFn>
  selectors: Record<string, SelectFn>
} {
  return {
    validators: Object.fromEntries(namespaces.map(({ name, validate }) => [name, bounded(validate)])),
    selectors: Object.fromEntries(namespaces.map(({ name, select }) => [name, select])),
  }
}

/** Left out, kad-dht itself serves as soon as it sees a public address of ours, and asks only until then. */
function clientMode({ dht, mode }: NetworkSettings['network']): { clientMode?: boolean } {
  if (dht === 'auto') {
    return mode === 'private' ? { clientMode: false } : {}
  }
  return { clientMode: dht === 'client' }
}

function bounded(validate: ValidateFn): ValidateFn {
  return (key, value, options) => {
    if (value.byteLength > DHT_LIMITS.maxRecordBytes) {
      throw dhtRecordInvalid(
        `it has ${value.byteLength} bytes where ${DHT_LIMITS.maxRecordBytes} are allowed`,
      )
    }
    return validate(key, value, options)
  }
}
