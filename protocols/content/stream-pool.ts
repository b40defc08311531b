import type { PeerId } from '@libp2p/interface'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence } from '../../src/trust/contract.ts'
import type { Bandwidth } from '../shared/bandwidth.ts'
import type { Connections } from '../shared/connections.ts'
import { connectionTo } from '../shared/connections.ts'
import { ClientStream } from './client-stream.ts'
import { streamFailed } from './errors.ts'
import type { ContentLimits } from './limits.ts'

/** Opening a stream means a round trip, perhaps a dial; whoever does not manage it in this time is not a source. */
const OPEN_TIMEOUT_MS = 10_000

export interface StreamPoolInit {
  /** Ids to open a stream with, the best first. */
  protocols: (peer: PeerId) => string[]
  connections: Connections
  trust: Evidence
  bandwidth?: Bandwidth | undefined
  limits: ContentLimits
  log: Logger
  onReceived: (bytes: number) => void
}

interface OfPeer {
  /** Streams open or being opened for one fetch each. */
  exclusive: number
  idle: { stream: ClientStream; timer: NodeJS.Timeout }[]
  waiting: (() => void)[]
  /** For single blocks: one stream for all who ask at the same time. */
  shared: Promise<ClientStream> | undefined
}

/**
 * Outbound streams, bounded per peer. A stream that a fetch has done with is kept for a while, so that fetching many
 * small things from one peer does not negotiate a stream for each.
 */
export class StreamPool {
  readonly #init: StreamPoolInit
  readonly #peers = new Map<string, OfPeer>()
  readonly #open = new Set<ClientStream>()

  constructor(init: StreamPoolInit) {
    this.#init = init
  }

  get size(): number {
    return this.#open.size
  }

  /** A stream for one fetch alone, to be given back with `release`. @throws when it cannot be opened */
  async acquire(peer: PeerId, signal: AbortSignal): Promise<ClientStream> {
    const ofPeer = this.#ofPeer(peer)
    for (;;) {
      const idle = ofPeer.idle.pop()
      if (idle !== undefined) {
        clearTimeout(idle.timer)
        if (idle.stream.isOpen) return idle.stream
        continue
      }
      if (ofPeer.exclusive < this.#init.limits.maxOutboundStreamsPerPeer) break
      await this.#turn(ofPeer, signal)
    }
    ofPeer.exclusive += 1
    try {
      const stream = await this.#openStream(peer, signal)
      this.#onClose(stream, () => {
        ofPeer.exclusive -= 1
        ofPeer.idle = ofPeer.idle.filter((idle) => idle.stream !== stream)
        this.#next(peer, ofPeer)
      })
      return stream
    } catch (error) {
      ofPeer.exclusive -= 1
      this.#next(peer, ofPeer)
      throw error
    }
  }

  /** Keeps the stream for the next fetch, where nothing is owed on it; ends it otherwise. */
  release(peer: PeerId, stream: ClientStream): void {
    if (!stream.isOpen) return
    if (stream.isOwed) {
      stream.abort(streamFailed('no longer needed'))
      return
    }
    const ofPeer = this.#ofPeer(peer)
    const timer = setTimeout(() => void stream.close(), this.#init.limits.pooledStreamMs)
    timer.unref()
    ofPeer.idle.push({ stream, timer })
    ofPeer.waiting.shift()?.()
  }

  /** A stream that others use too, at the same time. @throws when it cannot be opened */
  async share(peer: PeerId, signal: AbortSignal): Promise<ClientStream> {
    const ofPeer = this.#ofPeer(peer)
    // Not with the caller's signal: others wait for the same stream.
    ofPeer.shared ??= this.#openShared(peer, ofPeer)
    const opening = ofPeer.shared
    signal.throwIfAborted()
    return await new Promise<ClientStream>((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error)
      signal.addEventListener('abort', onAbort, { once: true })
      opening.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
    })
  }

  async #openShared(peer: PeerId, ofPeer: OfPeer): Promise<ClientStream> {
    try {
      const stream = await this.#openStream(peer, AbortSignal.timeout(OPEN_TIMEOUT_MS))
      const timer = setInterval(() => {
        if (stream.openWants === 0) void stream.close()
      }, this.#init.limits.pooledStreamMs)
      timer.unref()
      this.#onClose(stream, () => {
        clearInterval(timer)
        ofPeer.shared = undefined
        this.#forgetUnused(peer, ofPeer)
      })
      return stream
    } catch (error) {
      ofPeer.shared = undefined
      this.#forgetUnused(peer, ofPeer)
      throw error
    }
  }

  /** Ends every stream. */
  stop(): void {
    for (const stream of this.#open) stream.abort(streamFailed('the node stops'))
  }

  async #openStream(peer: PeerId, signal: AbortSignal): Promise<ClientStream> {
    const { connections, protocols, trust, bandwidth, limits, log, onReceived } = this.#init
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(OPEN_TIMEOUT_MS)])
    const connection = await connectionTo(peer, connections, bounded)
    const stream = await connection.newStream(protocols(peer), {
      signal: bounded,
      runOnLimitedConnection: true,
    })
    const client = new ClientStream({
      stream,
      peer: peer.toString(),
      trust,
      bandwidth,
      limits,
      log,
      onReceived,
    })
    this.#open.add(client)
    return client
  }

  #onClose(stream: ClientStream, then: () => void): void {
    const closed = (): void => {
      this.#open.delete(stream)
      then()
    }
    if (stream.isOpen) stream.onClose = closed
    else closed()
  }

  #turn(ofPeer: OfPeer, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        ofPeer.waiting.splice(ofPeer.waiting.indexOf(take), 1)
        reject(signal.reason as Error)
      }
      const take = (): void => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      }
      signal.addEventListener('abort', onAbort, { once: true })
      ofPeer.waiting.push(take)
    })
  }

  #next(peer: PeerId, ofPeer: OfPeer): void {
    ofPeer.waiting.shift()?.()
    this.#forgetUnused(peer, ofPeer)
  }

  #ofPeer(peer: PeerId): OfPeer {
    const name = peer.toString()
    const known = this.#peers.get(name)
    if (known !== undefined) return known
    const ofPeer: OfPeer = { exclusive: 0, idle: [], waiting: [], shared: undefined }
    this.#peers.set(name, ofPeer)
    return ofPeer
  }

  #forgetUnused(peer: PeerId, ofPeer: OfPeer): void {
    const isUsed = ofPeer.exclusive > 0 || ofPeer.waiting.length > 0 || ofPeer.shared !== undefined
    if (!isUsed && this.#peers.get(peer.toString()) === ofPeer) this.#peers.delete(peer.toString())
  }
}
