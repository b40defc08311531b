import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import type { Libp2p, PrivateKey, ServiceMap } from '@libp2p/interface'
import { createLibp2p, type ServiceFactoryMap } from 'libp2p'
import type { ConnectionPolicy } from './gater.ts'
import { hostOf } from './addresses.ts'
import { BARE_LIMITS, CONNECTION_LIMITS } from './limits.ts'
import type { NetworkSettings } from './settings.ts'
import { libraryLog } from './library-log.ts'
import { listenAddresses } from './transports/listen.ts'
import { TRANSPORTS, transportsOf } from './transports/table.ts'

export interface BareOptions<Services extends ServiceMap> {
  config: NetworkSettings
  privateKey: PrivateKey
  /** Empty: it only dials. */
  listen: readonly string[]
  /** Asked about addresses, before it is known who comes. */
  trust: Pick<ConnectionPolicy, 'decideAddress'>
  services: ServiceFactoryMap<Services>
}

/**
 * A libp2p beside the node's own, under a key of its own or none that listens: no identify, no DHT, no gossip, so that whoever
 * connects learns nothing but what `services` tell it. Never under the network's pre-shared key, which a guest does not have.
 *
 * @throws ERR_ADDRESS_INVALID, ERR_TRANSPORT_UNAVAILABLE, what listening throws
 */
export async function bareLibp2p<Services extends ServiceMap>(
  options: BareOptions<Services>,
): Promise<Libp2p<Services>> {
  const { privateKey, trust, services } = options
  const isGuest = options.listen.length === 0
  const network = {
    ...options.config.network,
    listen: options.listen,
    maxConnections: BARE_LIMITS.maxConnections,
  }
  const libp2p = await createLibp2p({
    privateKey,
    addresses: { listen: listenAddresses({ network }) },
    transports: transportsOf({ network }, TRANSPORTS).map((row) => row.create({ network })),
    connectionEncrypters: [noise()],
    streamMuxers: [
      yamux({ maxInboundStreams: BARE_LIMITS.maxStreams, maxOutboundStreams: BARE_LIMITS.maxStreams }),
    ],
    connectionGater: {
      denyDialPeer: () => !isGuest,
      denyInboundConnection({ remoteAddr }) {
        const host = hostOf(remoteAddr)
        return host !== undefined && trust.decideAddress?.(host.address, host.family).allowed === false
      },
      // Private addresses are what a private network is made of.
      denyDialMultiaddr: () => false,
    },
    connectionManager: {
      maxConnections: BARE_LIMITS.maxConnections,
      maxIncomingPendingConnections: BARE_LIMITS.maxConnections,
      inboundConnectionThreshold: network.maxInboundPerIpPerSecond,
      inboundUpgradeTimeout: CONNECTION_LIMITS.inboundUpgradeTimeoutMs,
      connectionCloseTimeout: CONNECTION_LIMITS.closeTimeoutMs,
      addressDialTimeout: CONNECTION_LIMITS.addressDialTimeoutMs,
      maxPeerAddrsToDial: CONNECTION_LIMITS.maxAddressesPerPeer,
    },
    connectionMonitor: { enabled: false },
    ...libraryLog(),
    services,
  })
  // Whoever comes and says nothing goes.
  libp2p.addEventListener('connection:open', ({ detail: connection }) => {
    const timer = setTimeout(
      () => connection.abort(new Error('a connection beside the network is short')),
      BARE_LIMITS.connectionMs,
    ).unref()
    connection.addEventListener('close', () => clearTimeout(timer))
  })
  return libp2p
}
