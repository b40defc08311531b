import type { Libp2p } from '@libp2p/interface'
import { content } from '../../protocols/content/index.ts'
import type { ContentInit } from '../../protocols/content/index.ts'
import type { Content } from '../../protocols/content/types.ts'
import type { Bandwidth } from '../../protocols/shared/bandwidth.ts'
import type { Config } from '../../config/index.ts'
import { version } from '../../config/version.ts'
import {
  bandwidthTold,
  createCapabilities,
  ipfsSide,
  type OwnCapabilities,
} from '../content/capabilities/index.ts'
import type { PrivateMark } from '../content/private/types.ts'
import { createSourceRouter, type SourceRouter } from '../content/router/index.ts'
import { latencyOf } from '../network/index.ts'
import type { OpenStorage } from '../storage/open.ts'
import type { StateDatabase } from '../storage/state/index.ts'
import type { Logger } from '../telemetry/types.ts'
import type { TrustService } from '../trust/index.ts'
import { type Replacements, replaced } from './replacements.ts'

export interface NodeSourcesOptions {
  config: Config
  did: string
  storage: Pick<OpenStorage, 'pins' | 'blocks'>
  state: StateDatabase
  trust: TrustService
  bandwidth: Bandwidth
  privateMark: PrivateMark
  /** What else the content protocol is given. */
  protocol: Partial<ContentInit>
  /** For simulations alone. */
  replace: Pick<Replacements, 'blocks' | 'capabilities'> | undefined
  /** Made after this; asked only once it runs. */
  libp2p: () => Libp2p<{ content: Content }>
  log: Logger
}

export interface NodeSources {
  readonly capabilities: OwnCapabilities
  readonly router: SourceRouter
  /** The content protocol, with what is exchanged over it. */
  readonly protocol: ReturnType<typeof content>
  /** Once libp2p runs. */
  begin(): void
  stop(): void
}

/** What this node tells its peers, what they tell of themselves, and from whom content is rather taken. */
export function nodeSources(options: NodeSourcesOptions): NodeSources {
  const { config, did, storage, state, trust, bandwidth, privateMark, libp2p, replace, log } = options
  const { blocks, pins } = storage
  const capabilities = createCapabilities({
    pins,
    privateMark,
    // Of private content the content service hears, and passes it on.
    onMarkChange: (listener) => trust.onContentChange(listener),
    did,
    own: () => ({
      role: config.role,
      versions: { p2pnode: version },
      ipfs: ipfsSide(config.content.steps),
      // It listens on loopback unless an operator puts something in front of it, and only the operator knows where that is.
      gatewayUrl: config.gateway.publicUrl === '' ? null : config.gateway.publicUrl,
      addresses: libp2p()
        .getMultiaddrs()
        .map((address) => address.toString()),
      bandwidthBytesPerSecond: bandwidthTold(config.limits.bandwidth),
      freeBytes: blocks.usage().quotaBytes - blocks.usage().usedBytes,
    }),
    intervalMs: config.content.capabilities.intervalMs,
    trust,
    log,
  })
  const router = createSourceRouter({
    config: config.content.router,
    state,
    capabilities,
    trust,
    privateMark,
    latencyMs: (peer) => latencyOf(libp2p(), peer),
    log,
  })
  return {
    capabilities,
    router,
    protocol: content({
      networkName: config.network.name,
      blocks: replaced(capabilities.serving(blocks), replace?.blocks),
      ...options.protocol,
      capabilities: replaced(capabilities.init, replace?.capabilities),
      trust,
      bandwidth,
      log,
    }),
    begin: () => capabilities.start(libp2p().services.content),
    stop() {
      capabilities.stop()
      router.stop()
    },
  }
}
