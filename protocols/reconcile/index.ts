/**
 * The reconcile protocol: brings a set that many nodes hold to the same with all of them, at a cost that follows from the
 * difference and not from the size.
 *
 * ```ts
 * const node = await createLibp2p({
 *   …,
 *   services: { identify: identify(), reconcile: reconcile({ networkName: 'main', admits, trust, log }) },
 * })
 * const end = node.services.reconcile.register({ name: 'catalog', maxEntryBytes, version, ids, read, take })
 * const { taken, given } = await node.services.reconcile.run(peer, set, { signal })
 * ```
 *
 * Gossip brings what is new at once and may lose some of it; this finds what was lost. One session is one stream, on which
 * the asker asks and the answerer answers in turn. SPEC.md beside this file describes the wire.
 *
 * Reading order: `types.ts` (the contract), `tags.ts` and `view.ts` (what ranges add up to), `compare.ts` (the answerer),
 * `comparison.ts` (the asker), `messages.ts`, `session.ts`, `server.ts`, `reconcile.ts`, `limits.ts` (every bound).
 */
import type { StreamHandler, StreamHandlerOptions } from '@libp2p/interface'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence, Policy } from '../../src/trust/contract.ts'
import type { Bandwidth } from '../shared/bandwidth.ts'
import type { Connections } from '../shared/connections.ts'
import type { PeerEvents } from '../shared/speakers.ts'
import { ReconcileService } from './reconcile.ts'
import type { Reconcile } from './types.ts'

export interface ReconcileInit {
  /** Part of the protocol's id: nodes of different networks do not talk. */
  networkName: string
  /** Whether a session of this peer may begin now: each costs a look at a whole set. */
  admits: (peer: string) => boolean
  /** Asked before a peer is answered or asked (`gossip`, with the set as topic); told what peers did. */
  trust: Policy & Evidence
  /** Asked before each message that goes, for it and for what came before it; nothing is limited without it. */
  bandwidth?: Bandwidth | undefined
  log: Logger
  /** Wall clock in milliseconds; other than the default only in tests. */
  now?: () => number
}

/** Of libp2p, what the service uses. */
export interface ReconcileComponents {
  registrar: {
    handle(protocol: string, handler: StreamHandler, options: StreamHandlerOptions): Promise<void>
    unhandle(protocol: string): Promise<void>
  }
  /** Where libp2p says who is there and what it speaks. */
  events: PeerEvents
  connectionManager: Connections
}

export function reconcile(init: ReconcileInit): (components: ReconcileComponents) => Reconcile {
  return (components) => new ReconcileService(components, init)
}

export { ID_BYTES, MAX_BATCH_ENTRIES, MAX_ENTRY_BYTES } from './limits.ts'
export { NOTHING_COMPARED } from './statistics.ts'
export type * from './types.ts'
