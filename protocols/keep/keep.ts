import type { Connection, PeerId, Startable, Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import type { CID } from 'multiformats/cid'
import { connectionTo } from '../shared/connections.ts'
import { P2pnodeError } from '../shared/errors.ts'
import { frameBounds } from '../shared/frame-bounds.ts'
import { InboundStreams } from '../shared/inbound-streams.ts'
import { blamed, ProtocolViolationError } from '../shared/violation.ts'
import { KeepRefusedError, KeepStatus, keepFailed, peerDenied } from './errors.ts'
import type { KeepComponents, KeepInit } from './index.ts'
import {
  EXCHANGE_TIMEOUT_MS,
  MAX_CLOCK_SKEW_MS,
  MAX_MESSAGE_BYTES,
  MAX_STATEMENT_AGE_MS,
  MAX_STREAMS_PER_PEER,
  MAX_TERM_MS,
} from './limits.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type KeepRequest,
  type KeepResponse,
} from './messages.ts'
import { Statements } from './statements.ts'
import type { Keep, Kept, Promised } from './types.ts'

const BOUNDS = frameBounds(MAX_MESSAGE_BYTES, 4)

/** Both sides of the protocol. */
export class KeepService implements Keep, Startable {
  readonly protocols: string[]
  readonly #components: KeepComponents
  readonly #init: KeepInit
  readonly #statements: Statements
  readonly #now: () => number
  /** Streams of each peer that are being answered. */
  readonly #inbound = new InboundStreams({ perPeer: MAX_STREAMS_PER_PEER })
  #running = new AbortController()
  #isHandling = false

  constructor(components: KeepComponents, init: KeepInit) {
    this.#components = components
    this.#init = init
    this.#statements = new Statements(init.networkName)
    this.#now = init.now ?? Date.now
    this.protocols = [`/p2pnode/${init.networkName}/keep/1.0.0`]
  }

  async start(): Promise<void> {
    if (this.#isHandling) return
    this.#isHandling = true
    this.#running = new AbortController()
    for (const protocol of this.protocols) {
      await this.#components.registrar.handle(
        protocol,
        (stream, connection) => void this.#accept(stream, connection),
        // Our own bound is the one that counts; this one resets every stream of a burst that goes over it.
        {
          maxInboundStreams: 4 * MAX_STREAMS_PER_PEER,
          maxOutboundStreams: MAX_STREAMS_PER_PEER,
          runOnLimitedConnection: true,
        },
      )
    }
  }

  async stop(): Promise<void> {
    if (!this.#isHandling) return
    this.#isHandling = false
    for (const protocol of this.protocols) await this.#components.registrar.unhandle(protocol)
    this.#running.abort(new Error('the node stops'))
  }

  async ask(
    peer: PeerId,
    what: { cid: CID; sizeBytes: number; untilMs: number },
    { signal }: { signal: AbortSignal },
  ): Promise<Promised> {
    const { peerId: asker, privateKey } = this.#components
    const ask = { ...what, atMs: this.#now(), asker, holder: peer }
    const signed = await this.#statements.signAsk(privateKey, ask)
    const { promise: answer } = await this.#exchange(peer, { kind: 'ask', signed }, signal)
    return this.#blame(peer, async () => {
      if (answer === undefined) throw new ProtocolViolationError('no-promise', 'an answer without a promise')
      const promise = await this.#statements.promise(answer)
      const isForThis =
        promise.cid.equals(what.cid) &&
        promise.asker.equals(asker) &&
        promise.holder.equals(peer) &&
        promise.untilMs > this.#now() &&
        promise.untilMs <= what.untilMs
      if (!isForThis) throw new ProtocolViolationError('other-promise', 'a promise of something else')
      return promise
    })
  }

  async release(peer: PeerId, cid: CID, { signal }: { signal: AbortSignal }): Promise<void> {
    const { peerId: asker, privateKey } = this.#components
    const release = { cid, atMs: this.#now(), asker, holder: peer }
    const signed = await this.#statements.signRelease(privateKey, release)
    await this.#exchange(peer, { kind: 'release', signed }, signal)
  }

  async probe(peer: PeerId, cid: CID, { signal }: { signal: AbortSignal }): Promise<Kept> {
    const { state, untilMs } = await this.#exchange(peer, { kind: 'probe', cid }, signal)
    return { state, untilMs }
  }

  async #exchange(peer: PeerId, request: KeepRequest, signal: AbortSignal): Promise<KeepResponse> {
    const decision = this.#init.trust.decide(peer.toString(), 'entrust')
    if (!decision.allowed) throw peerDenied(peer.toString(), decision.reason)
    const bounded = AbortSignal.any([signal, this.#running.signal, AbortSignal.timeout(EXCHANGE_TIMEOUT_MS)])
    let stream: Stream | undefined
    let bytes: Uint8Array
    try {
      const connection = await connectionTo(peer, this.#components.connectionManager, bounded)
      stream = await connection.newStream(this.protocols, {
        signal: bounded,
        runOnLimitedConnection: true,
      })
      bytes = await this.#askOver(stream, encodeRequest(request), bounded)
    } catch (error) {
      stream?.abort(error as Error)
      signal.throwIfAborted()
      throw keepFailed(peer.toString(), error)
    }
    const response = await this.#blame(peer, () => decodeResponse(bytes))
    if (response.status !== KeepStatus.ok) throw new KeepRefusedError(response.status)
    return response
  }

  async #askOver(stream: Stream, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const frames = lpStream(stream, BOUNDS)
    await frames.write(request, { signal })
    const answer = (await frames.read({ signal })).subarray()
    await stream.close({ signal })
    return answer
  }

  /** Reports what the peer should not have said. */
  #blame<T>(peer: PeerId, read: () => T | Promise<T>): Promise<T> {
    return blamed({ trust: this.#init.trust, protocol: 'keep', peer: peer.toString() }, read)
  }

  async #accept(stream: Stream, connection: Connection): Promise<void> {
    const peer = connection.remotePeer
    const name = peer.toString()
    const release = this.#inbound.take(name)
    if (typeof release === 'string') {
      stream.abort(new Error('too many requests at once'))
      this.#init.trust.report(name, 'limit-exceeded', { limit: 'keep-streams' })
      return
    }
    const signal = AbortSignal.any([this.#running.signal, AbortSignal.timeout(EXCHANGE_TIMEOUT_MS)])
    try {
      const frames = lpStream(stream, BOUNDS)
      const request = (await this.#blame(peer, () => frames.read({ signal }))).subarray()
      const response = await this.#answer(peer, request)
      await frames.write(encodeResponse(response), { signal })
      await stream.close({ signal })
    } catch (error) {
      stream.abort(error as Error)
      this.#init.log.debug({ peer: name, error: String(error) }, 'a request to keep was not answered')
    } finally {
      release()
    }
  }

  async #answer(peer: PeerId, bytes: Uint8Array): Promise<Partial<KeepResponse> & { status: number }> {
    const { trust, holder, log } = this.#init
    const name = peer.toString()
    if (!trust.decide(name, 'keep').allowed) return { status: KeepStatus.refused }
    if (!holder.admits(name)) {
      trust.report(name, 'limit-exceeded', { limit: 'keep-rate' })
      return { status: KeepStatus.busy }
    }
    // A violation ends the stream without an answer.
    const request = await this.#blame(peer, () => decodeRequest(bytes))
    try {
      return await this.#blame(peer, () => this.#answerRequest(peer, request))
    } catch (error) {
      if (error instanceof KeepRefusedError) return { status: error.status }
      if (error instanceof ProtocolViolationError) return { status: KeepStatus.invalid }
      if (!(error instanceof P2pnodeError)) log.warn({ err: error, peer: name }, 'a request to keep failed')
      return { status: KeepStatus.failed }
    }
  }

  async #answerRequest(
    peer: PeerId,
    request: KeepRequest,
  ): Promise<Partial<KeepResponse> & { status: number }> {
    const { holder } = this.#init
    const { peerId: self, privateKey } = this.#components
    switch (request.kind) {
      case 'probe':
        return { status: KeepStatus.ok, ...(await holder.probe(peer, request.cid)) }
      case 'release': {
        const release = await this.#statements.release(request.signed)
        this.#assertBetween(peer, release)
        await holder.release(release)
        return { status: KeepStatus.ok }
      }
      case 'ask': {
        const ask = await this.#statements.ask(request.signed)
        this.#assertBetween(peer, ask)
        const nowMs = this.#now()
        if (ask.untilMs <= nowMs || ask.untilMs > nowMs + MAX_TERM_MS + MAX_CLOCK_SKEW_MS)
          throw new KeepRefusedError(KeepStatus.invalid)
        const { trust } = this.#init
        if (!trust.decide(peer.toString(), 'keep', { cid: ask.cid.toString() }).allowed)
          throw new KeepRefusedError(KeepStatus.refused)
        const { untilMs } = await holder.accept(ask)
        const promised = { cid: ask.cid, untilMs, atMs: nowMs, asker: peer, holder: self }
        return {
          status: KeepStatus.ok,
          promise: await this.#statements.signPromise(privateKey, promised),
        }
      }
    }
  }

  /** Signed by whoever sends it, to this node, now: what was signed for another or long ago counts for nothing. */
  #assertBetween(peer: PeerId, statement: { asker: PeerId; holder: PeerId; atMs: number }): void {
    if (!statement.asker.equals(peer) || !statement.holder.equals(this.#components.peerId))
      throw new ProtocolViolationError('other-parties', 'a statement between others')
    const ageMs = this.#now() - statement.atMs
    // Clocks are nobody's fault.
    if (ageMs > MAX_STATEMENT_AGE_MS || ageMs < -MAX_CLOCK_SKEW_MS)
      throw new KeepRefusedError(KeepStatus.invalid)
  }
}
