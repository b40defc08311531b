/**
 * Connections: libp2p's options out of the configuration, and the network as the rest of the daemon sees it.
 *
 * ```ts
 * const libp2p = await createLibp2p(libp2pOptions({ config, identity, datastore, trust, log, metrics, version }))
 * const network = createNetwork({ libp2p, identity, trust, log })
 * await network.connect('/ip4/192.0.2.1/tcp/4700/p2p/12D3…', signal)
 * network.close()
 * await boundedStop(libp2p, 5_000)
 * ```
 */
export { type BandwidthLimiter, createBandwidth } from './bandwidth/index.ts'
export type { DhtNamespace } from './dht.ts'
export { createPeerHistory, type KnownPeer, type PeerHistory } from './history/index.ts'
export { latencyOf } from './latency.ts'
export {
  networkKeyMissing,
  type NetworkProtector,
  networkProtector,
  readNetworkKey,
  storeNetworkKey,
} from './network-key.ts'
export type { NetworkOptions } from './network.ts'
export { createNetwork } from './network.ts'
export type { Libp2pOptionsInit, NetworkServices } from './options.ts'
export { libp2pOptions } from './options.ts'
export { createPeerRecords, type PeerRecords } from './records.ts'
export type { GossipRules } from './pubsub.ts'
export type { NetworkSettings } from './settings.ts'
export { hasPublicRoutes, withPublicRouting } from './public-routing.ts'
export { knownRoutes } from './routes.ts'
export { createSeeker, type Seeker } from './seek.ts'
export { networkPrefix } from './settings.ts'
export { startError } from './start-error.ts'
export { boundedStop } from './stop.ts'
export type { AwayPeer, Network, PeerSummary } from './types.ts'
