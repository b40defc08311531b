/**
 * The discovery flow: where blocks come from that are neither held nor with peers of this network.
 *
 * @example
 * const discovery = createDiscovery({ config, storage, trust, bandwidth })
 * const content = contentProtocol({ …, ...discovery.protocol })
 * const steps = discovery.begin({ libp2p, content, ipfs: helia.fetchBlock })
 *
 * Reading order: `types.ts`, `steps.ts` (what is common to all), `ipfs.ts`, `proxy.ts`, `gateways.ts` with `gateway.ts` and
 * `car-stream.ts`, `proxy-server.ts` (the other side), `limits.ts`.
 */
import type { Libp2p } from '@libp2p/interface'
import type { Config } from '../../../config/index.ts'
import type { Content, ProxyServer } from '../../../protocols/content/types.ts'
import type { Bandwidth } from '../../../protocols/shared/bandwidth.ts'
import type { Storage } from '../../storage/types.ts'
import { PrivateContent } from '../private/private-content.ts'
import type { PrivateMark } from '../private/types.ts'
import type { Policy } from '../../trust/contract.ts'
import { gatewaysStep } from './gateways.ts'
import { type IpfsBlocks, ipfsStep } from './ipfs.ts'
import { proxyStep } from './proxy.ts'
import { type ProxyQuota, ProxyService } from './proxy-server.ts'
import type { Step } from './types.ts'

export interface DiscoveryOptions {
  config: Pick<Config, 'content'>
  storage: Pick<Storage, 'blocks' | 'marks'>
  trust: Policy
  bandwidth?: Bandwidth | undefined
}

export interface Discovery {
  /** What is private here. */
  readonly privacy: PrivateContent
  /** For `ContentInit`. The proxy fetches for peers by the steps that lead to IPFS, and refuses all before `begin`. */
  readonly protocol: { readonly isPrivate: PrivateMark['isPrivate']; readonly proxy: ProxyServer }
  /** The steps that the configuration switches on. */
  begin(services: {
    libp2p: Libp2p
    content: Pick<Content, 'proxies' | 'fetchByProxy'>
    ipfs: IpfsBlocks
  }): readonly Step[]
}

export function createDiscovery({ config, storage, trust, bandwidth }: DiscoveryOptions): Discovery {
  const { steps: on, deadlines, gateways, proxy } = config.content
  const privacy = new PrivateContent(storage)
  let toIpfs: readonly Step[] = []
  const quotaOf = ({ requests, trafficBytes }: Config['content']['proxy']['perPeer']): ProxyQuota => ({
    requests,
    bytes: trafficBytes,
  })
  return {
    privacy,
    protocol: {
      isPrivate: privacy.isPrivate,
      proxy: new ProxyService({
        steps: () => toIpfs,
        trust,
        perPeer: quotaOf(proxy.perPeer),
        inAll: quotaOf(proxy.inAll),
      }),
    },
    begin({ libp2p, content, ipfs }) {
      const ipfsSteps = on.ipfs ? [ipfsStep({ blocks: ipfs, libp2p, deadlineMs: deadlines.ipfsMs })] : []
      const gatewaySteps = on.gateways
        ? [gatewaysStep({ addresses: gateways, deadlineMs: deadlines.gatewaysMs, bandwidth })]
        : []
      toIpfs = [...ipfsSteps, ...gatewaySteps]
      const proxySteps = on.proxy ? [proxyStep({ content, deadlineMs: deadlines.proxyMs })] : []
      return [...ipfsSteps, ...proxySteps, ...gatewaySteps]
    },
  }
}
