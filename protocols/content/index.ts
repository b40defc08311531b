/**
 * The content protocol: blocks and DAGs by CID between peers of one network.
 *
 * @example Serve what a store holds, and fetch a file from whoever is connected
 *
 * ```ts
 * import { content } from './protocols/content/index.ts'
 *
 * const node = await createLibp2p({
 *   …,
 *   services: {
 *     identify: identify(),
 *     content: content({ networkName: 'main', blocks: store, trust, log }),
 *   },
 * })
 *
 * const fetch = node.services.content.fetchDag(root, {
 *   scope: 'entity',
 *   sources: node.services.content.peers(),
 *   held: store,
 *   sink: store,
 *   signal: AbortSignal.timeout(60_000),
 * })
 * const { bytes, sources } = await fetch.done
 * ```
 *
 * A client opens a stream, grants credit, and asks with any number of Wants: for blocks by CID, or for a part of the
 * DAG below a root. The server answers each with Blocks, what is Missing, and Done. Every block is verified before it
 * is handed on; one that does not match its CID ends the stream. SPEC.md beside this file describes the wire.
 *
 * Reading order: `types.ts` (the contract), `messages.ts` and `data-frame.ts` (the wire), `walk.ts` (which blocks a
 * request means), `server-stream.ts`, `client-stream.ts`, `fetch.ts` (many sources), `capability-exchange.ts` and `filter.ts`
 * (what peers tell of themselves), `limits.ts` (every bound).
 */
import type { PeerId, StreamHandler, StreamHandlerOptions } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence, Policy } from '../../src/trust/contract.ts'
import type { Bandwidth } from '../shared/bandwidth.ts'
import type { Connections } from '../shared/connections.ts'
import type { PeerEvents } from '../shared/speakers.ts'
import { ContentService } from './content.ts'
import type { ContentLimits } from './limits.ts'
import type { BlockSource, CapabilitiesInit, Content, ProxyServer } from './types.ts'

export interface ContentInit {
  /** Part of the protocol's id: nodes of different networks do not talk. */
  networkName: string
  /** What is served. */
  blocks: BlockSource
  /** Blocks for peers of this network alone: given only to clients that keep the mark. None without it. */
  isPrivate?: (cid: CID) => boolean
  /** Fetches from elsewhere for peers that ask for it (`Proxy`); without it nothing is. */
  proxy?: ProxyServer
  /** Asked before serving (`serve-content`) and before fetching (`fetch`); told what peers did. */
  trust: Policy & Evidence
  /** Asked before data moves; nothing is limited without it. */
  bandwidth?: Bandwidth
  /** What is told of this node, and who hears what others tell; nothing is told without it. */
  capabilities?: CapabilitiesInit
  log: Logger
  limits?: Partial<ContentLimits>
}

/** Of libp2p, what the service uses. */
export interface ContentComponents {
  peerId: PeerId
  registrar: {
    handle(protocol: string, handler: StreamHandler, options: StreamHandlerOptions): Promise<void>
    unhandle(protocol: string): Promise<void>
  }
  /** Where libp2p says who is there and what it speaks. */
  events: PeerEvents
  connectionManager: Connections
}

export function content(init: ContentInit): (components: ContentComponents) => Content {
  return (components) => new ContentService(components, init)
}

export { MAX_FILTER_ROOTS, RootFilter } from './filter.ts'
export { links } from './links.ts'
export { type ContentLimits, defaultLimits, MAX_FILTER_BYTES } from './limits.ts'
export type * from './types.ts'
