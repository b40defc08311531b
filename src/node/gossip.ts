import type { Config } from '../../config/index.ts'
import { message, type Messages } from '../../protocols/message/index.ts'
import type { Bandwidth } from '../../protocols/shared/bandwidth.ts'
import type { Reconcile, ReconcileStatistics } from '../../protocols/reconcile/index.ts'
import { type Convergence, createConvergence } from '../gossip/convergence/index.ts'
import { createGossip, type Gossip, type GossipStatistics, type TopicRules } from '../gossip/index.ts'
import { createHooks, type Hooks } from '../gossip/hooks/index.ts'
import { type AppMessages, createAppMessages } from '../gossip/messages/index.ts'
import type { Identity } from '../identity/index.ts'
import type { StateDatabase } from '../storage/state/types.ts'
import { recommendationsTopic } from './recommending.ts'
import type { Logger } from '../telemetry/types.ts'
import type { TrustService } from '../trust/index.ts'

export interface NodeGossipOptions {
  config: Config
  state: StateDatabase
  identity: Identity
  /** Topics of services, beside those of applications. */
  topics: readonly TopicRules[]
  trust: TrustService
  /** Made after this; asked only once the node runs. */
  bandwidth: () => Bandwidth
  log: Logger
}

/** What goes from mouth to mouth: gossip, what applications say by it, and what brings back what it lost. */
export interface NodeGossip {
  gossip: Gossip
  messages: AppMessages
  hooks: Hooks
  convergence: Convergence
  /** For libp2p. */
  services: { message: ReturnType<typeof message>; reconcile: Convergence['protocol'] }
  start(services: { pubsub: Parameters<Gossip['start']>[0]; message: Messages; reconcile: Reconcile }): void
  stop(): Promise<void>
  /** For the API. */
  readonly api: {
    messages: AppMessages
    hooks: Hooks
    gossipStatistics: () => { gossip: GossipStatistics; reconcile: ReconcileStatistics }
  }
}

export function nodeGossip(options: NodeGossipOptions): NodeGossip {
  const { config, state, identity, topics, trust, log } = options
  const networkName = config.network.name
  const self = identity.peerId.toString()
  const messages = createAppMessages({ state, log, self })
  const hooks = createHooks({ state, messages, log })
  const convergence = createConvergence({
    networkName,
    self,
    trust,
    bandwidth: lateBandwidth(options.bandwidth),
    log,
  })
  const gossip = createGossip({
    networkName,
    topics: [...topics, recommendationsTopic(), ...messages.rules],
    trust,
    self,
    state,
    log,
    // What was said under a topic is in the set of the same name, where there is one.
    onDropped: (topic) => convergence.hasten(topic),
  })
  return {
    gossip,
    messages,
    hooks,
    convergence,
    services: {
      message: message({ networkName, take: messages.take, trust, log }),
      reconcile: convergence.protocol,
    },
    start(services) {
      gossip.start(services.pubsub)
      messages.start({ gossip, message: services.message })
      hooks.start()
      convergence.start(services.reconcile)
    },
    async stop() {
      convergence.stop()
      await hooks.stop()
      messages.stop()
      gossip.stop()
    },
    api: {
      messages,
      hooks,
      gossipStatistics: () => ({ gossip: gossip.statistics(), reconcile: convergence.statistics() }),
    },
  }
}

/** Gossip is made first: private files need it, and what they need tells of peers that are limited. */
function lateBandwidth(bandwidth: () => Bandwidth): Bandwidth {
  return {
    take: (...asked) => bandwidth().take(...asked),
    reserve: (...asked) => bandwidth().reserve(...asked),
    moved: (...asked) => bandwidth().moved(...asked),
    sliceBytes: (...asked) => bandwidth().sliceBytes(...asked),
  }
}
