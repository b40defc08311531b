import type { PeerId, Stream } from '@libp2p/interface'
import type { Connections } from '../shared/connections.ts'
import { connectionTo } from '../shared/connections.ts'
import { P2pnodeError } from '../shared/errors.ts'
import { unlessAborted } from '../shared/unless-aborted.ts'
import { cancelled, streamFailed } from './errors.ts'

/** Opening a stream means a round trip, perhaps a dial; whoever does not manage it in this time is not reachable. */
const OPEN_TIMEOUT_MS = 10_000

/** Callers that wait for a stream to one peer. */
const MAX_WAITING = 256

/** A client's end of a stream. */
export interface PooledStream {
  readonly isOpen: boolean
  onClose: (() => void) | undefined
  close(): void
  abort(error: Error): void
}

export interface StreamPoolInit<S extends PooledStream> {
  protocol: string
  connections: Connections
  /** Streams to one peer. */
  maxStreams: number
  /** How long a stream is kept that nobody uses. */
  idleMs: number
  wrap(stream: Stream, peer: PeerId): S
}

interface OfPeer<S> {
  /** Open, or being opened. */
  count: number
  idle: { stream: S; timer: NodeJS.Timeout }[]
  waiting: (() => void)[]
}

/**
 * Outbound streams of one use, each for one caller at a time, bounded per peer. A stream that its caller has done with is
 * kept for a while, so that many small columns do not negotiate a stream each.
 */
export class StreamPool<S extends PooledStream> {
  readonly #init: StreamPoolInit<S>
  readonly #peers = new Map<string, OfPeer<S>>()
  readonly #open = new Set<S>()

  constructor(init: StreamPoolInit<S>) {
    this.#init = init
  }

  get size(): number {
    return this.#open.size
  }

  /**
   * A stream for the caller alone, to be given back with `release`.
   *
   * @throws ERR_STREAM_FAILED where it cannot be opened, ERR_CANCELLED, ERR_BUSY where too many wait already
   */
  async acquire(peer: PeerId, signal: AbortSignal): Promise<S> {
    const name = peer.toString()
    for (;;) {
      const ofPeer = this.#ofPeer(name)
      const idle = takeOpen(ofPeer)
      if (idle !== undefined) return idle
      if (ofPeer.count < this.#init.maxStreams) return await this.#add(peer, name, ofPeer, signal)
      await turn(ofPeer, signal)
    }
  }

  /** Keeps the stream for the next caller. */
  release(peer: PeerId, stream: S): void {
    if (!stream.isOpen) return
    const ofPeer = this.#ofPeer(peer.toString())
    const timer = setTimeout(() => {
      ofPeer.idle = ofPeer.idle.filter((idle) => idle.stream !== stream)
      stream.close()
    }, this.#init.idleMs)
    timer.unref()
    ofPeer.idle.push({ stream, timer })
    ofPeer.waiting.shift()?.()
  }

  /** Ends every stream. */
  stop(): void {
    for (const stream of this.#open) stream.abort(streamFailed('the node stops'))
  }

  async #add(peer: PeerId, name: string, ofPeer: OfPeer<S>, signal: AbortSignal): Promise<S> {
    ofPeer.count += 1
    const forget = (): void => {
      ofPeer.count -= 1
      ofPeer.waiting.shift()?.()
      const isUsed = ofPeer.count > 0 || ofPeer.waiting.length > 0
      if (!isUsed && this.#peers.get(name) === ofPeer) this.#peers.delete(name)
    }
    try {
      const stream = this.#init.wrap(await openStream(this.#init, peer, signal), peer)
      this.#open.add(stream)
      onClose(stream, () => {
        this.#open.delete(stream)
        for (const idle of ofPeer.idle) if (idle.stream === stream) clearTimeout(idle.timer)
        ofPeer.idle = ofPeer.idle.filter((idle) => idle.stream !== stream)
        forget()
      })
      return stream
    } catch (error) {
      forget()
      throw error
    }
  }

  #ofPeer(name: string): OfPeer<S> {
    const known = this.#peers.get(name)
    if (known !== undefined) return known
    const ofPeer: OfPeer<S> = { count: 0, idle: [], waiting: [] }
    this.#peers.set(name, ofPeer)
    return ofPeer
  }
}

interface SharedOfPeer<S> {
  opening: Promise<S>
  stream: S | undefined
}

/** One outbound stream a peer that all callers use at the same time. */
export class SharedStreams<S extends PooledStream & { readonly isIdle: boolean }> {
  readonly #init: StreamPoolInit<S>
  readonly #peers = new Map<string, SharedOfPeer<S>>()

  constructor(init: StreamPoolInit<S>) {
    this.#init = init
  }

  get size(): number {
    return this.#peers.size
  }

  /** @throws ERR_STREAM_FAILED where it cannot be opened, ERR_CANCELLED */
  async share(peer: PeerId, signal: AbortSignal): Promise<S> {
    if (signal.aborted) throw cancelled(signal.reason)
    const name = peer.toString()
    let ofPeer = this.#peers.get(name)
    if (ofPeer === undefined) {
      ofPeer = { opening: Promise.resolve(undefined as never), stream: undefined }
      this.#peers.set(name, ofPeer)
      // Not with the caller's signal: others wait for the same stream.
      ofPeer.opening = this.#openFor(peer, name, ofPeer)
      ofPeer.opening.catch(() => {})
    }
    return await unlessAborted(ofPeer.opening, signal, { errorOf: cancelled })
  }

  /** Ends every stream. */
  stop(): void {
    for (const { stream } of this.#peers.values()) stream?.abort(streamFailed('the node stops'))
  }

  async #openFor(peer: PeerId, name: string, ofPeer: SharedOfPeer<S>): Promise<S> {
    const forget = (): void => {
      if (this.#peers.get(name) === ofPeer) this.#peers.delete(name)
    }
    try {
      const none = new AbortController().signal
      const stream = this.#init.wrap(await openStream(this.#init, peer, none), peer)
      ofPeer.stream = stream
      // A stream that is not used from one look to the next is closed.
      let wasIdle = false
      const timer = setInterval(() => {
        if (stream.isIdle && wasIdle) {
          forget()
          stream.close()
        }
        wasIdle = stream.isIdle
      }, this.#init.idleMs / 2)
      timer.unref()
      onClose(stream, () => {
        clearInterval(timer)
        forget()
      })
      return stream
    } catch (error) {
      forget()
      throw error
    }
  }
}

async function openStream<S extends PooledStream>(
  init: StreamPoolInit<S>,
  peer: PeerId,
  signal: AbortSignal,
): Promise<Stream> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(OPEN_TIMEOUT_MS)])
  try {
    const connection = await connectionTo(peer, init.connections, bounded)
    return await connection.newStream(init.protocol, { signal: bounded, runOnLimitedConnection: true })
  } catch (error) {
    if (signal.aborted) throw cancelled(signal.reason)
    throw streamFailed('no stream to the peer', error)
  }
}

function onClose(stream: PooledStream, then: () => void): void {
  if (stream.isOpen) stream.onClose = then
  else then()
}

function takeOpen<S extends PooledStream>(ofPeer: OfPeer<S>): S | undefined {
  for (;;) {
    const idle = ofPeer.idle.pop()
    if (idle === undefined) return undefined
    clearTimeout(idle.timer)
    if (idle.stream.isOpen) return idle.stream
  }
}

async function turn<S>(ofPeer: OfPeer<S>, signal: AbortSignal): Promise<void> {
  if (ofPeer.waiting.length >= MAX_WAITING) {
    throw new P2pnodeError('ERR_BUSY', 'busy', 'too many wait for a stream to this peer already')
  }
  const { promise, resolve } = Promise.withResolvers<void>()
  ofPeer.waiting.push(resolve)
  try {
    await unlessAborted(promise, signal, { errorOf: cancelled })
  } catch (error) {
    const place = ofPeer.waiting.indexOf(resolve)
    if (place >= 0) ofPeer.waiting.splice(place, 1)
    // Its turn had come already: it is the next one's.
    else ofPeer.waiting.shift()?.()
    throw error
  }
}
