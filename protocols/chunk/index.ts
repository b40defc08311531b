/**
 * The chunk protocol: sealed columns of private files between the peers of one network. Nobody but their owner can
 * read them.
 *
 * @example Lend room, and store a column with a peer
 *
 * ```ts
 * import { chunk } from './protocols/chunk/index.ts'
 *
 * const node = await createLibp2p({
 *   …,
 *   services: {
 *     identify: identify(),
 *     chunk: chunk({ networkName: 'main', holder, trust, log }),
 *   },
 * })
 *
 * const store = await node.services.chunk.store(peer, { publicKey, group, column, k, n, maxColumnBytes, lease, purpose: 'put' }, signal)
 * for (const piece of pieces) await store.write(piece, signal)
 * const receipt = await store.finish(index, signal)
 * ```
 *
 * Small requests share one stream a peer and are pipelined on it; a store and a fetch have a stream of their own while
 * they last. The receiver of pieces grants credit. A holder acknowledges a column when it is verified and durable; a
 * client takes no piece that is not what the slab's index says. SPEC.md beside this file describes the wire.
 *
 * Reading order: `types.ts` (the contract), `format/` (ids, trees, statements), `messages.ts`, `requests.ts`, `answers.ts`,
 * `data-frame.ts` (the wire), `frame-stream.ts`, `server-*.ts`, `client-*.ts`, `chunk.ts`, `limits.ts` (every bound).
 */
import type { StreamHandler, StreamHandlerOptions } from '@libp2p/interface'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence, Policy } from '../../src/trust/contract.ts'
import type { Bandwidth } from '../shared/bandwidth.ts'
import type { Connections } from '../shared/connections.ts'
import type { PeerEvents } from '../shared/speakers.ts'
import { ChunkService } from './chunk.ts'
import type { ChunkLimits } from './limits.ts'
import type { Chunk, ChunkHolder } from './types.ts'

export interface ChunkInit {
  /** Part of the protocol's id and of what is signed: nodes of different networks do not talk. */
  networkName: string
  /** What answers. */
  holder: ChunkHolder
  /** Asked before a peer stores here (`store`), is answered (`serve-chunk`), is stored with (`place`) or fetched from (`fetch`); told what peers did. */
  trust: Policy & Evidence
  /** Asked before pieces move; nothing is limited without it. */
  bandwidth?: Bandwidth
  log: Logger
  limits?: Partial<ChunkLimits>
}

/** Of libp2p, what the service uses. */
export interface ChunkComponents {
  registrar: {
    handle(protocol: string, handler: StreamHandler, options: StreamHandlerOptions): Promise<void>
    unhandle(protocol: string): Promise<void>
  }
  /** Where libp2p says who is there and what it speaks. */
  events: PeerEvents
  connectionManager: Connections
}

export function chunk(init: ChunkInit): (components: ChunkComponents) => Chunk {
  return (components) => new ChunkService(components, init)
}

export { ChunkRefusedError, ChunkStatus, chunkInvalid } from './errors.ts'
export { type ChunkLimits, defaultLimits } from './limits.ts'
export type * from './types.ts'
