/**
 * The trust protocol: what peers tell each other of what they have seen of others, signed.
 *
 * ```ts
 * const node = await createLibp2p({ …, services: { trust: trustExchange({ networkName: 'main', book, trust, log }) } })
 * const { recommendations, next } = await node.services.trust.ask(peer, 0n, { signal })
 * ```
 *
 * A stream carries one Request and its Response. What comes back was signed by the peer that was asked and is not out of date; what it is
 * worth is the asker's business. SPEC.md beside this file describes the wire and the form that gossip carries.
 */
import type { StreamHandler, StreamHandlerOptions } from '@libp2p/interface'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence, Policy } from '../../src/trust/contract.ts'
import type { Connections } from '../shared/connections.ts'
import { TrustExchangeService } from './exchange.ts'
import type { Book, TrustExchange } from './types.ts'
import type { Version } from './versions.ts'

export interface TrustExchangeInit {
  /** Part of the protocol's id and of what is signed. */
  networkName: string
  /** What this node says of others. */
  book: Book
  /** Asked before anything is read (`gossip`); told who breaks rules. */
  trust: Policy & Evidence
  log: Logger
  /** The versions that are spoken, newest first; all by default. */
  versions?: readonly Version[]
  /** Milliseconds since the Unix epoch; tests pass their own. */
  now?: () => number
}

/** Of libp2p, what the service uses. */
export interface TrustExchangeComponents {
  registrar: {
    handle(protocol: string, handler: StreamHandler, options: StreamHandlerOptions): Promise<void>
    unhandle(protocol: string): Promise<void>
  }
  connectionManager: Connections
}

export function trustExchange(
  init: TrustExchangeInit,
): (components: TrustExchangeComponents) => TrustExchange {
  return (components) => new TrustExchangeService(components, init)
}

export { RecommendationsRefusedError } from './errors.ts'
export { MAX_AGE_MS, MAX_BUNDLE, MAX_BUNDLE_BYTES, MAX_CLOCK_SKEW_MS, MAX_SUBJECTS } from './limits.ts'
export { decodeBundle, encodeBundle } from './messages.ts'
export { decodeRecommendation, signRecommendation, verifyRecommendation } from './statements.ts'
