import type { Libp2p } from '@libp2p/interface'
import { type Config, describeConfig, effectOf, type Sources } from '../../config/index.ts'
import { version } from '../../config/version.ts'
import type { ApiDependencies } from '../api/index.ts'
import type { Identity } from '../identity/index.ts'
import type { Network, NetworkServices } from '../network/index.ts'

export interface ReportedNode {
  config: Config
  sources: Sources
  identity: Pick<Identity, 'did'>
  home: string
  network: Network
  libp2p: Libp2p<NetworkServices>
  startedAtMs: number
}

/** What a node says of itself over the API. */
export function reportsOf(node: ReportedNode): Pick<ApiDependencies, 'status' | 'id' | 'configuration'> {
  const { config, sources, identity, home, network, libp2p, startedAtMs } = node
  const { did } = identity
  return {
    status: () => ({
      peerId: network.peerId.toString(),
      did,
      role: config.role,
      effect: effectOf(config),
      version,
      uptimeMs: Date.now() - startedAtMs,
      home,
      multiaddrs: network.addresses(),
      network: {
        mode: config.network.mode,
        name: config.network.name,
        dht: libp2p.services.dht.getMode(),
        ...libp2p.services.reach.state(),
        relayedFor: libp2p.services.relayServer?.reservations ?? null,
      },
    }),
    id: () => ({
      peerId: network.peerId.toString(),
      did,
      multiaddrs: network.addresses(),
      agent: `p2pnode/${version}`,
      protocols: libp2p.getProtocols(),
    }),
    configuration: () => ({
      values: describeConfig({ config, sources }).map(({ key, value, source }) => ({
        key,
        value,
        source: source.layer,
      })),
    }),
  }
}
