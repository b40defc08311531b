import type { Config } from '../../config/index.ts'
import { createGateway, type Gateway } from '../api/gateway/index.ts'
import type { GatewayDependencies } from '../api/gateway/types.ts'
import type { NameService } from '../content/names/index.ts'
import type { TrustService } from '../trust/index.ts'

export interface NodeGatewayOptions
  extends Omit<GatewayDependencies, 'settings' | 'names' | 'decideAddress' | 'routes'> {
  config: Config
  names: NameService
  trust: Pick<TrustService, 'decideAddress'>
}

/** The gateway with what else is served on its port; undefined where it is switched off. */
export async function nodeGateway(options: NodeGatewayOptions): Promise<Gateway | undefined> {
  const { config, names, trust, ...rest } = options
  if (!config.gateway.enabled) return undefined
  return createGateway({
    ...rest,
    settings: config.gateway,
    names: {
      resolve: (name, query) => names.resolve(name, query),
      record: async (name, query) => (await names.record(name, query)).bytes,
    },
    decideAddress: (address, family) => trust.decideAddress(address, family),
  })
}
