import type { Connection, PeerId, Startable, Stream } from '@libp2p/interface'
import { connectionTo } from '../shared/connections.ts'
import { FairSlots } from '../shared/fair-slots.ts'
import { frame } from '../shared/framing.ts'
import { InboundStreams } from '../shared/inbound-streams.ts'
import { Status } from '../shared/status.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { decodeEnvelope, decodeReceipt, encodeEnvelope, encodeReceipt } from './envelope.ts'
import { messageCancelled, messageFailed, messageRefused, messageUnsupported } from './errors.ts'
import type { MessageComponents, MessageInit } from './index.ts'
import {
  ENVELOPE_TIMEOUT_MS,
  EXCHANGE_TIMEOUT_MS,
  MAX_INBOUND_STREAMS,
  MAX_INBOUND_STREAMS_PER_PEER,
  MAX_SENDING,
  MAX_STREAMS,
} from './limits.ts'
import { oneFrame } from './one-frame.ts'
import type { Envelope, Messages } from './types.ts'

const WHY: Readonly<Record<number, string>> = {
  [Status.refused]: 'this node may not',
  [Status.invalid]: 'it was known already, or is too old or of the future there',
  [Status.busy]: 'nobody listens there, or too much has come at once',
}

export class MessageService implements Messages, Startable {
  readonly protocols: readonly [string]
  readonly #components: MessageComponents
  readonly #init: MessageInit
  #running = new AbortController()
  /** Streams of each peer that are being answered, and of all together. */
  readonly #inbound = new InboundStreams({
    perPeer: MAX_INBOUND_STREAMS_PER_PEER,
    total: MAX_INBOUND_STREAMS,
  })
  /** A connection has no more streams than this for what is sent at once. */
  readonly #sending = new FairSlots(MAX_SENDING, MAX_STREAMS)

  constructor(components: MessageComponents, init: MessageInit) {
    this.#components = components
    this.#init = init
    this.protocols = [`/p2pnode/${init.networkName}/message/1.0.0`]
  }

  async start(): Promise<void> {
    this.#running = new AbortController()
    const handler = (stream: Stream, connection: Connection): void => void this.#answer(stream, connection)
    await this.#components.registrar.handle(this.protocols[0], handler, {
      // Our own bound is the one that counts; this one resets every stream of a burst that goes over it.
      maxInboundStreams: 2 * MAX_INBOUND_STREAMS_PER_PEER,
      maxOutboundStreams: MAX_STREAMS,
      runOnLimitedConnection: true,
    })
  }

  async stop(): Promise<void> {
    await this.#components.registrar.unhandle(this.protocols[0])
    this.#running.abort(new Error('the node stops'))
  }

  async send(peer: PeerId, envelope: Envelope, signal: AbortSignal): Promise<void> {
    const name = peer.toString()
    const bounded = AbortSignal.any([signal, this.#running.signal, AbortSignal.timeout(EXCHANGE_TIMEOUT_MS)])
    let stream: Stream | undefined
    let status: number
    let hasSlot = false
    try {
      await this.#sending.acquire(name, bounded)
      hasSlot = true
      const connection = await connectionTo(peer, this.#components.connectionManager, bounded)
      const options = { signal: bounded, runOnLimitedConnection: true }
      stream = await connection.newStream([...this.protocols], options)
      const receipt = oneFrame(stream, bounded)
      // What is sent may fail first.
      receipt.catch(() => {})
      stream.send(frame(encodeEnvelope(envelope)))
      const { sequence, ...answer } = decodeReceipt(await receipt)
      if (sequence !== envelope.sequence)
        throw new ProtocolViolationError('unrequested-answer', 'a receipt for another message')
      status = answer.status
      await stream.close({ signal: bounded })
    } catch (error) {
      stream?.abort(error as Error)
      this.#report(name, error)
      if (signal.aborted) throw messageCancelled(error)
      throw (error as Error).name === 'UnsupportedProtocolError'
        ? messageUnsupported(name, error)
        : messageFailed(name, error)
    } finally {
      if (hasSlot) this.#sending.release(name)
    }
    if (status !== Status.ok) throw messageRefused(name, status, WHY[status] ?? `status ${status}`)
  }

  async #answer(stream: Stream, connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString()
    const { trust, take } = this.#init
    if (!trust.decide(peer, 'gossip', { topic: 'message' }).allowed) {
      stream.abort(new Error('this peer may not speak here'))
      return
    }
    const release = this.#inbound.take(peer)
    if (typeof release === 'string') {
      stream.abort(new Error('too many messages at once'))
      if (release === 'peer') trust.report(peer, 'limit-exceeded', { limit: 'message-streams' })
      return
    }
    const signal = AbortSignal.any([this.#running.signal, AbortSignal.timeout(EXCHANGE_TIMEOUT_MS)])
    try {
      const soon = AbortSignal.any([signal, AbortSignal.timeout(ENVELOPE_TIMEOUT_MS)])
      const envelope = decodeEnvelope(await oneFrame(stream, soon))
      const status = take(peer, envelope)
      stream.send(frame(encodeReceipt({ status, sequence: envelope.sequence })))
      await stream.close({ signal })
    } catch (error) {
      stream.abort(error as Error)
      this.#report(peer, error)
    } finally {
      release()
    }
  }

  #report(peer: string, error: unknown): void {
    const { trust, log } = this.#init
    if (error instanceof ProtocolViolationError)
      trust.report(peer, 'protocol-violation', { protocol: 'message', rule: error.rule })
    log.debug({ peer, error: String(error) }, 'a message was not exchanged')
  }
}
