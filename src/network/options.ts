import { createHash } from 'node:crypto'
import { dcutr } from '@libp2p/dcutr'
import type { GossipSub } from '@libp2p/gossipsub'
import type { Identify, IdentifyPush } from '@libp2p/identify'
import { identify, identifyPush } from '@libp2p/identify'
import type { PeerDiscovery, PeerId, PrivateKey, ServiceMap, Startable } from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'
import { mdns } from '@libp2p/mdns'
import { noise } from '@libp2p/noise'
import type { Ping } from '@libp2p/ping'
import { yamux } from '@libp2p/yamux'
import type { Datastore } from 'interface-datastore'
import type { Libp2pOptions, ServiceFactoryMap } from 'libp2p'
import type { Registry } from 'prom-client'
import { Counter } from 'prom-client'
import type { Logger } from '../telemetry/types.ts'
import type { Trust } from '../trust/contract.ts'
import { createAddressPolicy } from './addresses.ts'
import { createCapacity } from './capacity.ts'
import type { DhtNamespace } from './dht.ts'
import { networkDht } from './dht.ts'
import { type IpfsDht, ipfsDht } from './ipfs-dht.ts'
import type { Discovery, DiscoveryComponents } from './discovery.ts'
import { discovery } from './discovery.ts'
import { finder } from './finder.ts'
import type { ConnectionPolicy } from './gater.ts'
import { createGater } from './gater.ts'
import { libraryLog } from './library-log.ts'
import { createLiveness } from './liveness.ts'
import { CONNECTION_LIMITS, IDENTIFY_LIMITS, REACH_LIMITS, YAMUX_LIMITS } from './limits.ts'
import { libp2pMetrics } from './metrics.ts'
import { JUDGED_CONNECTIONS } from './peer-limits.ts'
import { createPeerRates } from './peer-rates.ts'
import type { NetworkProtector } from './network-key.ts'
import type { GossipRules } from './pubsub.ts'
import { boundedGossipsub, NO_GOSSIP } from './pubsub.ts'
import { addressOrder } from './reach/address-order.ts'
import { boundedAutonat } from './reach/autonat.ts'
import { machineInterfaces } from './reach/interfaces.ts'
import type { Reach } from './reach/reach.ts'
import { reach } from './reach/reach.ts'
import { streamGuard } from './reach/stream-guard.ts'
import { portMapper } from './reach/upnp.ts'
import { recorder } from './recorder.ts'
import type { PeerRecords } from './records.ts'
import { relayTransport } from './relay/client.ts'
import type { RelayServer } from './relay/server.ts'
import { relayServer } from './relay/server.ts'
import type { NetworkSettings } from './settings.ts'
import { PeerTraffic } from './traffic.ts'
import { listenAddresses } from './transports/listen.ts'
import type { TransportRow } from './transports/table.ts'
import { TRANSPORTS, transportsOf } from './transports/table.ts'
import { createWorth } from './worth.ts'

/** What every node's libp2p has; a type, since libp2p asks for an index signature. */
export type NetworkServices = {
  identify: Identify
  identifyPush: IdentifyPush
  ping: Ping
  liveness: Startable
  dht: KadDHT
  /** Only in public mode. */
  ipfsDht?: IpfsDht
  pubsub: GossipSub
  capacity: Startable
  streamGuard: Startable
  reach: Reach
  /** Only where `network.relay.server` is on. */
  relayServer?: RelayServer
  peerRates: Startable
  /** Only with a history. */
  recorder?: Startable
  finder?: Startable
  /** Only where `network.mdns` is on. */
  mdns?: PeerDiscovery
  discovery: Discovery
}

export interface Libp2pOptionsInit<Services extends ServiceMap> {
  config: NetworkSettings
  identity: { privateKey: PrivateKey; peerId: PeerId }
  datastore: Datastore
  trust: Trust & ConnectionPolicy
  log: Logger
  /** Peers that were here before, and what connected ones are good for; nobody is looked for without it. */
  peers?: PeerRecords
  /** The node's own registry; nothing is measured without it. */
  metrics?: { readonly registry: Registry }
  /** The version of p2pnode, for the agent that others see. */
  version: string
  /** Protocols that the daemon adds, such as `{ content: content(init) }`. */
  services?: ServiceFactoryMap<Services>
  /** From the gossip service; without it no topic is carried. */
  gossip?: GossipRules
  /** Records that the network's DHT keeps. */
  dhtNamespaces?: readonly DhtNamespace[]
  /** Asked by the gater about peers that are no members of the private network; see there. */
  refresh?: (peer: string) => Promise<void>
  /** Where connections are under the network's pre-shared key; from `networkProtector`. */
  connectionProtector?: NetworkProtector
  /** The table of transports; tests pass their own. */
  transports?: readonly TransportRow[]
}

/**
 * The options of one node's libp2p, out of its configuration. Read it as a table: what carries, what protects, what
 * finds, what limits. Nothing is shared between two calls.
 *
 * @throws ERR_ADDRESS_INVALID, ERR_TRANSPORT_UNAVAILABLE for what `network.listen` or `network.bootstrap` name wrongly
 */
export function libp2pOptions<Services extends ServiceMap = ServiceMap>(
  init: Libp2pOptionsInit<Services>,
): Libp2pOptions<NetworkServices & Services> {
  const { config, identity, datastore, trust, metrics, version } = init
  const { network } = config
  const log = init.log.child({ part: 'network' })
  const transports = init.transports ?? TRANSPORTS
  const addresses = createAddressPolicy(config)
  const interfaces = machineInterfaces()
  const { peers } = init
  let found: Discovery | undefined
  const isProtected = protection(network.peers.protect, (peer) => found?.isBootstrap(peer) === true)
  const worth = createWorth({
    trust,
    traffic: peers?.traffic ?? new PeerTraffic(),
    isProtected,
    isNeeded: (peer) => peers?.isNeeded(peer) === true,
  })
  const createDiscovery = discovery({
    bootstrap: network.bootstrap,
    maxConnections: network.maxConnections,
    addresses,
    trust,
    log,
    withMdns: network.mdns,
  })
  const capacity = createCapacity(network.maxConnections, worth, evictionCounter(metrics?.registry))
  const peerRates = createPeerRates(trust)
  const liveness = createLiveness()

  return {
    privateKey: identity.privateKey,
    ...libraryLog(),
    nodeInfo: { name: 'p2pnode', version, userAgent: `p2pnode/${version}` },
    datastore,

    addresses: {
      listen: listenAddresses(config, { transports, log }),
      announce: [...network.announce],
      announceFilter: (all) => addresses.announced(all),
      maxObservedAddresses: IDENTIFY_LIMITS.maxObservedAddresses,
    },
    transports: [
      ...transportsOf(config, transports).map((row) => row.create(config)),
      ...(network.relay.client === 'never' ? [] : [relayTransport()]),
    ],
    ...(init.connectionProtector === undefined ? {} : { connectionProtector: init.connectionProtector }),
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({
        maxInboundStreams: YAMUX_LIMITS.maxInboundStreams,
        maxOutboundStreams: YAMUX_LIMITS.maxOutboundStreams,
        maxEarlyStreams: YAMUX_LIMITS.maxEarlyStreams,
        keepAliveInterval: YAMUX_LIMITS.keepAliveMs,
        streamOptions: {
          initialStreamWindowSize: YAMUX_LIMITS.initialStreamWindowBytes,
          maxStreamWindowSize: YAMUX_LIMITS.maxStreamWindowBytes,
          maxReadBufferLength: YAMUX_LIMITS.maxReadBufferBytes,
          maxWriteBufferLength: YAMUX_LIMITS.maxWriteBufferBytes,
        },
      }),
    ],

    connectionGater: createGater({
      trust,
      addresses,
      refusal: (peer) =>
        !isProtected(peer) && !peerRates.admits(peer) ? 'rate' : capacity.admits(peer) ? undefined : 'full',
      onRefused: refusalCounter(metrics?.registry),
      refresh: init.refresh,
    }),
    connectionManager: {
      maxConnections: network.maxConnections + JUDGED_CONNECTIONS,
      inboundConnectionThreshold: network.maxInboundPerIpPerSecond,
      maxIncomingPendingConnections: CONNECTION_LIMITS.maxIncomingPending,
      inboundUpgradeTimeout: CONNECTION_LIMITS.inboundUpgradeTimeoutMs,
      inboundStreamProtocolNegotiationTimeout: CONNECTION_LIMITS.protocolNegotiationTimeoutMs,
      outboundStreamProtocolNegotiationTimeout: CONNECTION_LIMITS.protocolNegotiationTimeoutMs,
      connectionCloseTimeout: CONNECTION_LIMITS.closeTimeoutMs,
      dialTimeout: CONNECTION_LIMITS.dialTimeoutMs,
      addressDialTimeout: CONNECTION_LIMITS.addressDialTimeoutMs,
      maxParallelDials: CONNECTION_LIMITS.maxParallelDials,
      maxDialQueueLength: CONNECTION_LIMITS.maxDialQueueLength,
      maxPeerAddrsToDial: CONNECTION_LIMITS.maxAddressesPerPeer,
      addressSorter: addressOrder(interfaces, { hasStun: network.iceServers.length > 0 }),
    },
    // Its place is taken by `liveness`.
    connectionMonitor: { enabled: false },
    ...(metrics === undefined ? {} : { metrics: libp2pMetrics(metrics.registry) }),

    // The order matters: a service may take those above it when it is built.
    services: {
      identify: identify(IDENTIFY),
      identifyPush: identifyPush(IDENTIFY),
      ping: liveness.ping,
      liveness: liveness.service,
      dht: networkDht(config, init.dhtNamespaces ?? []),
      ...(network.mode === 'public' ? { ipfsDht: ipfsDht(config, addresses, init.dhtNamespaces ?? []) } : {}),
      pubsub: boundedGossipsub(init.gossip ?? NO_GOSSIP, config),
      capacity: capacity.service,
      streamGuard: streamGuard(log),
      reach: reach({ settings: config, interfaces, log }),
      ...(network.relay.server ? { relayServer: relayServer(config) } : {}),
      ...(network.autonat ? { autonat: boundedAutonat() } : {}),
      ...(network.holePunching && network.relay.client !== 'never'
        ? {
            dcutr: dcutr({
              timeout: REACH_LIMITS.holePunchTimeoutMs,
              retries: REACH_LIMITS.holePunchRetries,
            }),
          }
        : {}),
      ...(network.upnp ? { upnp: portMapper(log) } : {}),
      ...(network.mdns ? { mdns: mdns({ serviceTag: mdnsTag(network.name) }) } : {}),
      peerRates: peerRates.service,
      discovery: (components: DiscoveryComponents) => (found = createDiscovery(components)),
      ...(peers === undefined
        ? {}
        : {
            recorder: recorder({ ...peers, addresses }),
            finder: finder({
              minConnections: network.minConnections,
              maxConnections: network.maxConnections,
              history: peers.history,
              addresses,
              trust,
              log,
              isReleased: (peer) => found?.isReleased(peer) === true,
              hastenBootstrap: () => found?.hasten(),
            }),
          }),
      ...init.services,
    } as ServiceFactoryMap<NetworkServices & Services>,
  }
}

const IDENTIFY = {
  maxMessageSize: IDENTIFY_LIMITS.maxMessageBytes,
  timeout: IDENTIFY_LIMITS.timeoutMs,
  maxObservedAddresses: IDENTIFY_LIMITS.maxObservedAddresses,
}

/**
 * Nodes of another network on the same wire do not hear each other; libp2p's own tag would call every IPFS node here.
 * The name goes in as a hash, since it may hold dots and be longer than a DNS label (63 bytes).
 */
function mdnsTag(networkName: string): string {
  return `_p2pnode-${createHash('sha256').update(networkName).digest('hex').slice(0, 16)}._udp.local`
}

/** Bootstrap peers, and those that the operator names: neither is ever given up for another one. */
function protection(
  protect: readonly string[],
  isBootstrap: (peer: string) => boolean,
): (peer: string) => boolean {
  const named = new Set(protect)
  return (peer) => named.has(peer) || isBootstrap(peer)
}

function refusalCounter(registry: Registry | undefined): (action: string, reason: string) => void {
  if (registry === undefined) {
    return () => {}
  }
  const counter = new Counter({
    name: 'p2pnode_connections_refused_total',
    help: 'Connections that the gater refused, by action and reason',
    labelNames: ['action', 'reason'],
    registers: [registry],
  })
  return (action, reason) => counter.inc({ action, reason })
}

function evictionCounter(registry: Registry | undefined): () => void {
  if (registry === undefined) {
    return () => {}
  }
  const counter = new Counter({
    name: 'p2pnode_connections_evicted_total',
    help: 'Connections that were closed for others that are worth more',
    registers: [registry],
  })
  return () => counter.inc()
}
