/**
 * The message protocol: what an application has to say to one peer, and a receipt for it.
 *
 * ```ts
 * const node = await createLibp2p({ …, services: { message: message({ networkName: 'main', take, trust, log }) } })
 * await node.services.message.send(peer, { topic, sequence, timeMs, payload }, signal)
 * ```
 *
 * A stream carries one Envelope and its Receipt. The connection has proven who sends; SPEC.md beside this file describes the wire, which
 * gossip shares: there the same Envelope is what the author has signed.
 */
import type { PeerId, StreamHandler, StreamHandlerOptions } from '@libp2p/interface'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence, Policy } from '../../src/trust/contract.ts'
import type { Connections } from '../shared/connections.ts'
import { MessageService } from './message.ts'
import type { Messages, TakeMessage } from './types.ts'

export interface MessageInit {
  /** Part of the protocol's id: nodes of different networks do not talk. */
  networkName: string
  /** Takes a message that is well formed, of a peer that may speak. */
  take: TakeMessage
  /** Asked before anything is read (`gossip`); told who breaks rules. */
  trust: Policy & Evidence
  log: Logger
}

/** Of libp2p, what the service uses. */
export interface MessageComponents {
  peerId: PeerId
  registrar: {
    handle(protocol: string, handler: StreamHandler, options: StreamHandlerOptions): Promise<void>
    unhandle(protocol: string): Promise<void>
  }
  connectionManager: Connections
}

export function message(init: MessageInit): (components: MessageComponents) => Messages {
  return (components) => new MessageService(components, init)
}

export { decodeBundle, encodeBundle } from './bundle.ts'
export { decodeEnvelope, encodeEnvelope, isTopic } from './envelope.ts'
export {
  BUNDLE_OVERHEAD_BYTES,
  MAX_BUNDLE_PAYLOADS,
  MAX_PAYLOAD_BYTES,
  MAX_TOPIC_CHARACTERS,
} from './limits.ts'
export type { Bundle, Envelope, Messages, TakeMessage } from './types.ts'
