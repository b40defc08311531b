import type { Connection, PeerId, Stream } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Flow } from '../shared/bandwidth.ts'
import { pacedReads } from '../shared/paced-stream.ts'
import { notRunning } from './errors.ts'
import { Inbound } from './inbound.ts'
import type { Bitswap, BitswapComponents, BitswapInit, BitswapStatistics } from './index.ts'
import { MAX_DIALLED_PROVIDERS, MAX_STREAMS, OPEN_TIMEOUT_MS, SEARCH_TIMEOUT_MS } from './limits.ts'
import type { MessagePart } from './message.ts'
import { Server } from './server.ts'
import { Wants } from './wants.ts'

const PROTOCOL = '/ipfs/bitswap/1.2.0'
/** The muxer in which a stream that is not read holds its sender back. */
const PAUSABLE_MUXER = '/yamux/'

interface Running {
  readonly ended: AbortController
  readonly inbound: Inbound
  readonly server: Server
  readonly wants: Wants
  topology?: string
  unwatch?: (() => void) | undefined
}

/** Joins what others want and what this node wants to libp2p's streams and connections. */
export class BitswapService implements Bitswap {
  readonly protocols = [PROTOCOL]
  readonly #components: BitswapComponents
  readonly #init: BitswapInit
  #running: Running | undefined

  constructor(components: BitswapComponents, init: BitswapInit) {
    this.#components = components
    this.#init = init
  }

  async start(): Promise<void> {
    if (this.#running !== undefined) return
    const libp2p = this.#components
    const running = this.#create()
    this.#running = running
    await libp2p.handle(PROTOCOL, (stream, connection) => this.#accept(stream, connection), {
      maxInboundStreams: MAX_STREAMS,
      maxOutboundStreams: MAX_STREAMS,
    })
    running.topology = await libp2p.register(PROTOCOL, {
      onConnect: (peer) => running.wants.connected(peer),
    })
    // Of those who were there before nobody tells. One that does not speak it is found out with the first want.
    for (const { remotePeer, limits } of libp2p.getConnections())
      if (limits === undefined) running.wants.connected(remotePeer)
    libp2p.addEventListener('peer:disconnect', this.#onDisconnect)
    running.unwatch = this.#init.blocks.watch?.((cid) => running.server.arrived(cid))
  }

  async stop(): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    this.#running = undefined
    const libp2p = this.#components
    running.unwatch?.()
    libp2p.removeEventListener('peer:disconnect', this.#onDisconnect)
    if (running.topology !== undefined) libp2p.unregister(running.topology)
    await libp2p.unhandle(PROTOCOL)
    running.ended.abort(new Error('the node stops'))
    running.wants.stop()
    running.server.stop()
    running.inbound.stop()
  }

  async want(cid: CID, { signal }: { signal: AbortSignal }): Promise<Uint8Array> {
    if (this.#running === undefined) throw notRunning()
    return this.#running.wants.want(cid, signal)
  }

  statistics(): BitswapStatistics {
    const { server, wants, inbound } = this.#running ?? {}
    return {
      sentBlocks: server?.sentBlocks ?? 0,
      sentBytes: server?.sentBytes ?? 0,
      receivedBlocks: wants?.receivedBlocks ?? 0,
      receivedBytes: wants?.receivedBytes ?? 0,
      unwantedBytes: wants?.unwantedBytes ?? 0,
      ownWants: wants?.size ?? 0,
      peerWants: server?.wants ?? 0,
      answersInMemory: server?.answersInMemory ?? 0,
      inboundBytes: inbound?.bufferedBytes ?? 0,
    }
  }

  #create(): Running {
    const ended = new AbortController()
    const { signal } = ended
    const open = (peer: PeerId, until: AbortSignal): Promise<Stream> => this.#open(peer, until)
    const search = (cid: CID, until: AbortSignal): Promise<void> =>
      this.#search(cid, AbortSignal.any([until, signal]))
    return {
      ended,
      inbound: new Inbound(),
      server: new Server({ ...this.#init, open, signal }),
      wants: new Wants({ ...this.#init, open, search, signal }),
    }
  }

  #accept(stream: Stream, connection: Connection): void {
    const running = this.#running
    if (running === undefined) {
      stream.abort(notRunning())
      return
    }
    const { remotePeer } = connection
    const peer = remotePeer.toString()
    const { bandwidth, trust } = this.#init
    const flow: Flow = { direction: 'in', peer, protocol: 'bitswap' }
    const mayPause = connection.multiplexer?.startsWith(PAUSABLE_MUXER) === true
    const { signal } = running.ended
    const paced = bandwidth === undefined ? stream : pacedReads(stream, flow, bandwidth, { signal, mayPause })
    running.inbound.accept(peer, paced, {
      onBytes: () => running.wants.progress(peer),
      onPart: (part) => this.#take(running, remotePeer, peer, part),
      onViolation: ({ rule }) => trust.report(peer, 'protocol-violation', { protocol: 'bitswap', rule }),
      onOverflow: () => trust.report(peer, 'limit-exceeded', { protocol: 'bitswap', limit: 'inbound-bytes' }),
    })
  }

  #take({ server, wants, ended }: Running, peer: PeerId, name: string, part: MessagePart): void {
    if (ended.signal.aborted) return
    if (part.kind === 'want') {
      // What is dealt with after its sender has left would be kept for ever.
      if (this.#components.getConnections(peer).length > 0) server.receive(peer, name, part)
    } else if (part.kind === 'block') wants.block(name, part.hashCode, part.bytes)
    else wants.presence(name, part.cid, part.isHeld)
  }

  readonly #onDisconnect = ({ detail }: CustomEvent<PeerId>): void => {
    const name = detail.toString()
    this.#running?.server.drop(name)
    this.#running?.wants.disconnected(name)
  }

  /** On a connection that is open and without limits: a relay lends itself for less than this moves. */
  async #open(peer: PeerId, signal: AbortSignal): Promise<Stream> {
    const connection = this.#components
      .getConnections(peer)
      .find(({ status, limits }) => status === 'open' && limits === undefined)
    if (connection === undefined) throw new Error('the peer is not connected')
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(OPEN_TIMEOUT_MS)])
    return connection.newStream(PROTOCOL, { signal: bounded })
  }

  async #search(cid: CID, signal: AbortSignal): Promise<void> {
    const { findProviders, isPrivate } = this.#init
    if (isPrivate(cid)) return
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(SEARCH_TIMEOUT_MS)])
    const dials: Promise<unknown>[] = []
    for await (const { id } of findProviders(cid, { signal: bounded })) {
      if (id.equals(this.#components.peerId)) continue
      if (this.#components.getConnections(id).length === 0)
        dials.push(this.#components.dial(id, { signal: bounded }).catch(() => {}))
      if (dials.length >= MAX_DIALLED_PROVIDERS) break
    }
    await Promise.all(dials)
  }
}
