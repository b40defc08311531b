import type { PeerId } from '@libp2p/interface'
import { forgetOldest } from '../shared/forget-oldest.ts'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence } from '../../src/trust/contract.ts'
import type { Connections } from '../shared/connections.ts'
import { connectionTo } from '../shared/connections.ts'
import { P2pnodeError } from '../shared/errors.ts'
import { FrameReader } from '../shared/framing.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { capabilitiesUnsupported, streamFailed } from './errors.ts'
import { CAPABILITIES_TIMEOUT_MS, MAX_CAPABILITIES_PER_MINUTE, MAX_TELLING_PEERS } from './limits.ts'
import { decodeFromServer, encode } from './messages.ts'
import type { Capabilities, CapabilitiesInit } from './types.ts'

const MINUTE_MS = 60_000

export interface CapabilityExchangeInit {
  /** The first version of the protocol that has capabilities, as an id. */
  protocol: string
  capabilities: CapabilitiesInit | undefined
  connections: Connections
  trust: Evidence
  log: Logger
}

/** Tells peers what this node is, and learns it of them: one question and one answer on a stream of its own. */
export class CapabilityExchange {
  readonly #init: CapabilityExchangeInit
  /** How often a peer has told in the minute that began at `sinceMs`, in the order of their beginnings. */
  readonly #told = new Map<string, { sinceMs: number; count: number }>()

  constructor(init: CapabilityExchangeInit) {
    this.#init = init
  }

  /** @throws as `Content.exchangeCapabilities` */
  async ask(peer: PeerId, signal: AbortSignal): Promise<Capabilities> {
    const { capabilities, connections, protocol } = this.#init
    if (capabilities === undefined) throw capabilitiesUnsupported()
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(CAPABILITIES_TIMEOUT_MS)])
    const connection = await connectionTo(peer, connections, bounded)
    const stream = await connection.newStream(protocol, { signal: bounded, runOnLimitedConnection: true })
    const answer = Promise.withResolvers<Capabilities>()
    const onAbort = (): void => answer.reject(bounded.reason as Error)
    bounded.addEventListener('abort', onAbort, { once: true })
    const reader = new FrameReader({
      payloadOffset: () => undefined,
      onMessage: (bytes) => {
        const message = decodeFromServer(bytes)
        if (message.kind !== 'capabilities')
          throw new ProtocolViolationError('unrequested-answer', 'an answer to another question')
        answer.resolve(message.capabilities)
      },
      onPayload: () => new Uint8Array(0),
      onPayloadEnd: () => {},
    })
    stream.addEventListener('message', ({ data }) => {
      try {
        reader.push(data)
      } catch (error) {
        answer.reject(error)
      }
    })
    stream.addEventListener('end', () => answer.reject(streamFailed('no answer')))
    stream.addEventListener('close', () => answer.reject(streamFailed('closed')))
    try {
      stream.send(encode.tellCapabilities(capabilities.own()))
      const told = await answer.promise
      this.#check(peer, told)
      await stream.close({ signal: bounded })
      return told
    } catch (error) {
      stream.abort(error as Error)
      this.#report(peer.toString(), error)
      throw error
    } finally {
      bounded.removeEventListener('abort', onAbort)
    }
  }

  /**
   * A peer has told its capabilities: the frame that answers them.
   * @throws ProtocolViolationError for somebody else's; ERR_STREAM_FAILED where it tells too often
   */
  answer(peer: PeerId, told: Capabilities): Uint8Array {
    const { capabilities, trust } = this.#init
    if (capabilities === undefined)
      throw new ProtocolViolationError('unknown-message', 'this node does not take part')
    this.#check(peer, told)
    if (this.#isTooOften(peer.toString())) {
      trust.report(peer.toString(), 'limit-exceeded', { protocol: 'content', limit: 'capabilities' })
      throw streamFailed('capabilities too often')
    }
    capabilities.onTold(peer, told)
    return encode.answerCapabilities(capabilities.own())
  }

  #check(peer: PeerId, { did }: Capabilities): void {
    if (did !== this.#init.capabilities?.didOf(peer))
      throw new ProtocolViolationError('foreign-did', 'capabilities under the name of somebody else')
  }

  #isTooOften(peer: string): boolean {
    const now = performance.now()
    const told = this.#told.get(peer)
    if (told === undefined || now - told.sinceMs > MINUTE_MS) {
      this.#told.delete(peer)
      forgetOldest(this.#told, MAX_TELLING_PEERS)
      this.#told.set(peer, { sinceMs: now, count: 1 })
      return false
    }
    told.count += 1
    return told.count > MAX_CAPABILITIES_PER_MINUTE
  }

  #report(peer: string, error: unknown): void {
    const { trust, log } = this.#init
    if (error instanceof ProtocolViolationError)
      trust.report(peer, 'protocol-violation', { protocol: 'content', rule: error.rule })
    const reason = error instanceof P2pnodeError ? error.code : String(error)
    log.debug({ peer, error: reason }, 'capabilities could not be exchanged')
  }
}
