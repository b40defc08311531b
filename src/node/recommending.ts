import type { Libp2p, PeerId, PrivateKey } from '@libp2p/interface'
import type { Config } from '../../config/index.ts'
import { trustExchange } from '../../protocols/trust/index.ts'
import type { TrustExchange } from '../../protocols/trust/types.ts'
import type { Gossip } from '../gossip/index.ts'
import type { StateDatabase } from '../storage/state/index.ts'
import type { Logger } from '../telemetry/types.ts'
import type { TrustService } from '../trust/index.ts'
import { createRecommendations, type Recommendations } from '../trust/recommend/index.ts'

export { recommendationsTopic } from '../trust/recommend/index.ts'

export interface RecommendingOptions {
  config: Config
  state: StateDatabase
  trust: TrustService
  identity: { peerId: PeerId; privateKey: PrivateKey }
  gossip: Gossip
  log: Logger
}

export interface Recommending {
  readonly recommendations: Recommendations
  /** For libp2p. */
  readonly protocol: ReturnType<typeof trustExchange>
  /** Returns what ends it. */
  start(libp2p: Libp2p<{ trust: TrustExchange }>): () => void
}

/** What nodes tell each other of others, joined to libp2p. */
export function createRecommending({ config, ...options }: RecommendingOptions): Recommending {
  const networkName = config.network.name
  const { trust, log } = options
  const recommendations = createRecommendations({
    ...options,
    networkName,
    config: config.trust.recommendations,
  })
  return {
    recommendations,
    protocol: trustExchange({ networkName, book: recommendations.book, trust, log }),
    start(libp2p) {
      recommendations.start({
        peers: libp2p,
        exchange: libp2p.services.trust,
        addressOf: (peer) => libp2p.getConnections(peer).at(0)?.remoteAddr.toString(),
      })
      return () => recommendations.stop()
    },
  }
}
