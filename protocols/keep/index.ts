/**
 * Who keeps public content: announcements of it, and promises to keep copies of it.
 *
 * @example Ask a peer to keep a DAG, and look later whether it does
 *
 * ```ts
 * import { keep } from './protocols/keep/index.ts'
 *
 * const node = await createLibp2p({
 *   …,
 *   services: { identify: identify(), keep: keep({ networkName: 'main', holder, trust, log }) },
 * })
 *
 * const { untilMs } = await node.services.keep.ask(peer, { cid, sizeBytes, untilMs }, { signal })
 * const { state } = await node.services.keep.probe(peer, cid, { signal })
 * ```
 *
 * One request a stream, one answer. An ask and its promise are signed by their peers' keys, so that either can show later
 * what was agreed. SPEC.md beside this file describes the wire.
 *
 * Reading order: `types.ts` (the contract), `statements.ts` (what is signed), `announcement.ts`, `messages.ts`, `keep.ts`
 * (both sides), `limits.ts` (every bound).
 */
import type { PeerId, PrivateKey, StreamHandler, StreamHandlerOptions } from '@libp2p/interface'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence, Policy } from '../../src/trust/contract.ts'
import type { Connections } from '../shared/connections.ts'
import { KeepService } from './keep.ts'
import type { Holder, Keep } from './types.ts'

export interface KeepInit {
  /** Part of the protocol's id and of what is signed. */
  networkName: string
  /** What this node keeps for others. */
  holder: Holder
  /** Asked before a peer is answered (`keep`) and before it is asked (`entrust`); told what peers did. */
  trust: Policy & Evidence
  log: Logger
  /** Wall clock in milliseconds; other than the default only in tests. */
  now?: () => number
}

/** Of libp2p, what the service uses. */
export interface KeepComponents {
  peerId: PeerId
  privateKey: PrivateKey
  registrar: {
    handle(protocol: string, handler: StreamHandler, options: StreamHandlerOptions): Promise<void>
    unhandle(protocol: string): Promise<void>
  }
  connectionManager: Connections
}

export function keep(init: KeepInit): (components: KeepComponents) => Keep {
  return (components) => new KeepService(components, init)
}

export { decodeAnnouncement, encodeAnnouncement } from './announcement.ts'
export { KeepRefusedError, KeepStatus } from './errors.ts'
export { MAX_ANNOUNCEMENT_BYTES, MAX_CLOCK_SKEW_MS, MAX_STATEMENT_AGE_MS, MAX_TERM_MS } from './limits.ts'
export type * from './types.ts'
