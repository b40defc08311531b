import type { Connection, PeerId, Startable, Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { connectionTo } from '../shared/connections.ts'
import { frameBounds } from '../shared/frame-bounds.ts'
import { InboundStreams } from '../shared/inbound-streams.ts'
import { Status } from '../shared/status.ts'
import { blamed, ProtocolViolationError } from '../shared/violation.ts'
import { RecommendationsRefusedError, recommendationsFailed } from './errors.ts'
import type { TrustExchangeComponents, TrustExchangeInit } from './index.ts'
import {
  EXCHANGE_TIMEOUT_MS,
  MAX_AGE_MS,
  MAX_CLOCK_SKEW_MS,
  MAX_INBOUND_STREAMS,
  MAX_PAGE,
  MAX_REQUEST_BYTES,
  MAX_RESPONSE_BYTES,
  MAX_STREAMS_PER_PEER,
  MAX_SUBJECTS,
} from './limits.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  type TrustRequest,
  type TrustResponse,
} from './messages.ts'
import { decodeRecommendation, verifyRecommendation } from './statements.ts'
import type { Answer, SignedBytes, SignedRecommendation, TrustExchange } from './types.ts'
import { knowsSubjects, protocolId, VERSIONS } from './versions.ts'

const REQUEST_BOUNDS = frameBounds(MAX_REQUEST_BYTES, 4)
const RESPONSE_BOUNDS = frameBounds(MAX_RESPONSE_BYTES, 2)

const NOTHING = { recommendations: [], next: 0n, more: false } as const

/** Both sides of the protocol. */
export class TrustExchangeService implements TrustExchange, Startable {
  readonly protocols: readonly string[]
  readonly #components: TrustExchangeComponents
  readonly #init: TrustExchangeInit
  readonly #now: () => number
  /** Streams of each peer that are being answered, and of all together. */
  readonly #inbound = new InboundStreams({ perPeer: MAX_STREAMS_PER_PEER, total: MAX_INBOUND_STREAMS })
  #running = new AbortController()
  #isHandling = false

  constructor(components: TrustExchangeComponents, init: TrustExchangeInit) {
    this.#components = components
    this.#init = init
    this.#now = init.now ?? Date.now
    this.protocols = (init.versions ?? VERSIONS).map((version) => protocolId(init.networkName, version))
  }

  async start(): Promise<void> {
    if (this.#isHandling) return
    this.#isHandling = true
    this.#running = new AbortController()
    for (const protocol of this.protocols) {
      await this.#components.registrar.handle(
        protocol,
        (stream, connection) => void this.#accept(stream, connection, knowsSubjects(protocol)),
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

  async ask(peer: PeerId, since: bigint, { signal }: { signal: AbortSignal }): Promise<Answer> {
    const response = await this.#exchange(peer, { since, subjects: [] }, this.protocols, signal)
    return this.#blame(peer, async () => {
      const { next, more } = response ?? NOTHING
      // Whoever says that there is more, and stays where it is, would be asked for ever. Further back is a counter that began anew.
      if (more && next === since) throw new ProtocolViolationError('no-progress', 'a page that leads nowhere')
      return { recommendations: await this.#verified(peer, response?.recommendations ?? []), next, more }
    })
  }

  async askAbout(
    peer: PeerId,
    subjects: readonly PeerId[],
    { signal }: { signal: AbortSignal },
  ): Promise<SignedRecommendation[] | undefined> {
    if (subjects.length === 0 || subjects.length > MAX_SUBJECTS)
      throw new RangeError(`1 to ${MAX_SUBJECTS} subjects`)
    const protocols = this.protocols.filter((protocol) => knowsSubjects(protocol))
    const response = await this.#exchange(peer, { since: 0n, subjects }, protocols, signal)
    if (response === undefined) return undefined
    return this.#blame(peer, async () => {
      const all = await this.#verified(peer, response.recommendations)
      const isAsked = all.every(({ subject }) => subjects.some((asked) => asked.equals(subject)))
      if (!isAsked) throw new ProtocolViolationError('unrequested-answer', 'about somebody else')
      return all
    })
  }

  /** Undefined where the peer speaks none of the protocols, but another one of `this.protocols`. */
  async #exchange(
    peer: PeerId,
    request: TrustRequest,
    protocols: readonly string[],
    signal: AbortSignal,
  ): Promise<TrustResponse | undefined> {
    const bounded = AbortSignal.any([signal, this.#running.signal, AbortSignal.timeout(EXCHANGE_TIMEOUT_MS)])
    let stream: Stream | undefined
    let bytes: Uint8Array
    try {
      if (protocols.length === 0) return undefined
      const connection = await connectionTo(peer, this.#components.connectionManager, bounded)
      const options = { signal: bounded, runOnLimitedConnection: true }
      stream = await connection.newStream([...protocols], options)
      const frames = lpStream(stream, RESPONSE_BOUNDS)
      await frames.write(encodeRequest(request), { signal: bounded })
      bytes = (await frames.read({ signal: bounded })).subarray()
      await stream.close({ signal: bounded })
    } catch (error) {
      stream?.abort(error as Error)
      signal.throwIfAborted()
      const isOlder =
        (error as Error).name === 'UnsupportedProtocolError' && protocols.length < this.protocols.length
      if (isOlder) return undefined
      throw recommendationsFailed(peer.toString(), error)
    }
    const response = await this.#blame(peer, () => decodeResponse(bytes))
    if (response.status !== Status.ok) throw new RecommendationsRefusedError(peer.toString(), response.status)
    return response
  }

  /** What the peer itself has signed and what is not out of date. @throws ProtocolViolationError */
  async #verified(peer: PeerId, signed: readonly SignedBytes[]): Promise<SignedRecommendation[]> {
    const verified: SignedRecommendation[] = []
    for (const bytes of signed) {
      const recommendation = decodeRecommendation(bytes)
      if (recommendation === undefined) continue
      if (!recommendation.by.equals(peer))
        throw new ProtocolViolationError('other-parties', 'a recommendation of somebody else')
      await verifyRecommendation(this.#init.networkName, recommendation)
      // Clocks are nobody's fault, nor is what has become old on the way.
      const ageMs = this.#now() - recommendation.atMs
      if (ageMs <= MAX_AGE_MS && ageMs >= -MAX_CLOCK_SKEW_MS) verified.push(recommendation)
    }
    return verified
  }

  /** Reports what the peer should not have said. */
  #blame<T>(peer: PeerId, read: () => T | Promise<T>): Promise<T> {
    return blamed({ trust: this.#init.trust, protocol: 'trust', peer: peer.toString() }, read)
  }

  async #accept(stream: Stream, connection: Connection, withSubjects: boolean): Promise<void> {
    const peer = connection.remotePeer
    const name = peer.toString()
    const release = this.#inbound.take(name)
    if (typeof release === 'string') {
      stream.abort(new Error('too many requests at once'))
      if (release === 'peer') this.#init.trust.report(name, 'limit-exceeded', { limit: 'trust-streams' })
      return
    }
    const signal = AbortSignal.any([this.#running.signal, AbortSignal.timeout(EXCHANGE_TIMEOUT_MS)])
    try {
      const frames = lpStream(stream, REQUEST_BOUNDS)
      const request = (await frames.read({ signal })).subarray()
      await frames.write(encodeResponse(await this.#answer(peer, request, withSubjects)), { signal })
      await stream.close({ signal })
    } catch (error) {
      stream.abort(error as Error)
      this.#init.log.debug({ peer: name, error: String(error) }, 'recommendations were not told')
    } finally {
      release()
    }
  }

  async #answer(peer: PeerId, bytes: Uint8Array, withSubjects: boolean): Promise<TrustResponse> {
    const { trust, book, log } = this.#init
    const name = peer.toString()
    if (!trust.decide(name, 'gossip', { topic: 'trust' }).allowed)
      return { status: Status.refused, ...NOTHING }
    if (!book.admits(name)) {
      trust.report(name, 'limit-exceeded', { limit: 'trust-rate' })
      return { status: Status.busy, ...NOTHING }
    }
    // A violation ends the stream without an answer.
    const { since, subjects } = await this.#blame(peer, () => decodeRequest(bytes))
    try {
      if (!withSubjects || subjects.length === 0) return { status: Status.ok, ...book.page(since, MAX_PAGE) }
      return { status: Status.ok, ...NOTHING, recommendations: await book.about(subjects, peer) }
    } catch (error) {
      log.warn({ err: error, peer: name }, 'what was seen of others could not be told')
      return { status: Status.failed, ...NOTHING }
    }
  }
}
