import type { Libp2p } from '@libp2p/interface'
import type { Config } from '../../config/index.ts'
import { createGateway, type Gateway } from '../api/gateway/index.ts'
import type { GatewayDependencies } from '../api/gateway/types.ts'
import { routingRoutes } from '../api/routing/index.ts'
import type { NameService } from '../content/names/index.ts'
import { createRouting } from '../content/routing/index.ts'
import { hasPublicRoutes, type NetworkServices, withPublicRouting } from '../network/index.ts'
import type { OpenStorage } from '../storage/open.ts'
import type { TrustService } from '../trust/index.ts'
import { hiddenFrom } from './believing.ts'

export interface NodeGatewayOptions
  extends Omit<GatewayDependencies, 'settings' | 'names' | 'decideAddress' | 'contentPolicy' | 'routes'> {
  config: Config
  names: NameService
  trust: Pick<TrustService, 'decideAddress' | 'decideContent' | 'onContentChange'>
  libp2p: Libp2p<NetworkServices>
  storage: Pick<OpenStorage, 'blocks'>
}

/** The gateway with what else is served on its port; undefined where it is switched off. */
export async function nodeGateway(options: NodeGatewayOptions): Promise<Gateway | undefined> {
  const { config, names, trust, libp2p, storage, ...rest } = options
  if (!config.gateway.enabled) return undefined
  const { isPrivate } = hiddenFrom(rest.privateMark, trust)
  const routing = createRouting({
    libp2p: withPublicRouting(libp2p),
    blocks: storage.blocks,
    hasRoutes: () => hasPublicRoutes(libp2p),
    isPrivate,
    log: rest.log,
  })
  return createGateway({
    ...rest,
    settings: config.gateway,
    names: {
      resolve: (name, query) => names.resolve(name, query),
      record: (name, query) => names.record(name, query),
    },
    decideAddress: (address, family) => trust.decideAddress(address, family),
    contentPolicy: trust,
    routes: config.gateway.routing ? [routingRoutes({ routing, names, isPrivate, log: rest.log })] : [],
  })
}
