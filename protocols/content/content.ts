import { type PeerId, type Startable, serviceCapabilities, serviceDependencies } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { Speakers, type SpeakersListener } from '../shared/speakers.ts'
import { DagFetchSession } from './fetch.ts'
import { fetchBlock } from './fetch-block.ts'
import { CapabilityExchange } from './capability-exchange.ts'
import { capabilitiesUnsupported } from './errors.ts'
import type { ContentComponents, ContentInit } from './index.ts'
import { fetchByProxy } from './fetch-by-proxy.ts'
import { type ContentLimits, defaultLimits, MIN_CREDIT_WINDOW_BYTES, PROXY_IDLE_MS } from './limits.ts'
import { ContentServer } from './server.ts'
import { StreamPool } from './stream-pool.ts'
import type { Capabilities, Content, DagFetch, FetchDagOptions } from './types.ts'

/** Newest first. 1.1 added capabilities and proxies; whoever speaks it speaks 1.0 as well. */
const VERSIONS = ['1.1.0', '1.0.0']

/** Who speaks the version that has them is to hear of capabilities. */
function told(capabilities: ContentInit['capabilities']): SpeakersListener {
  return {
    onSpeaker: (peer, connection) => capabilities?.onPeer(peer, connection.direction === 'outbound'),
    onGone: (peer) => capabilities?.onPeerGone(peer),
  }
}

/** The libp2p service: registers the protocol, keeps track of who speaks it, and starts fetches. */
export class ContentService implements Content, Startable {
  readonly protocols: string[]
  readonly #init: ContentInit
  readonly #components: ContentComponents
  readonly #limits: ContentLimits
  readonly #server: ContentServer
  readonly #pool: StreamPool
  readonly #proxyPool: StreamPool
  readonly #exchange: CapabilityExchange
  /** Connected peers by each version that they speak, as `protocols` has them. */
  readonly #speakers: readonly Speakers[]
  /** Aborted on stop: ends every fetch. */
  #running = new AbortController()
  #isStarted = false
  #fetchedBytes = 0
  #fetchedBlocks = 0

  constructor(components: ContentComponents, init: ContentInit) {
    this.#components = components
    this.#init = init
    this.#limits = { ...defaultLimits, ...init.limits }
    this.#limits.creditWindowBytes = Math.max(this.#limits.creditWindowBytes, MIN_CREDIT_WINDOW_BYTES)
    this.protocols = VERSIONS.map((version) => `/p2pnode/${init.networkName}/content/${version}`)
    const { blocks, proxy, trust, bandwidth, log, capabilities } = init
    this.#speakers = this.protocols.map(
      (protocol, index) => new Speakers(components.events, protocol, index === 0 ? told(capabilities) : {}),
    )
    this.#exchange = new CapabilityExchange({
      protocol: this.protocols[0]!,
      capabilities,
      connections: components.connectionManager,
      trust,
      log,
    })
    this.#server = new ContentServer({
      blocks,
      isPrivate: init.isPrivate ?? (() => false),
      proxy,
      trust,
      bandwidth,
      log,
      limits: this.#limits,
      onCapabilities: (peer, told) => this.#exchange.answer(peer, told),
    })
    const pool = (protocols: (peer: PeerId) => string[], limits: ContentLimits): StreamPool =>
      new StreamPool({
        protocols,
        connections: components.connectionManager,
        trust,
        bandwidth,
        log,
        limits,
        onReceived: (bytes) => {
          this.#fetchedBytes += bytes
          this.#fetchedBlocks += 1
        },
      })
    this.#pool = pool((peer) => this.#spokenBy(peer), this.#limits)
    // Streams of their own: whoever fetches from elsewhere may be silent for long.
    this.#proxyPool = pool(() => this.protocols.slice(0, 1), { ...this.#limits, sourceIdleMs: PROXY_IDLE_MS })
  }

  readonly [Symbol.toStringTag] = '@p2pnode/content'
  readonly [serviceCapabilities]: string[] = ['@p2pnode/content']
  // Who speaks the protocol is known from identify.
  readonly [serviceDependencies]: string[] = ['@libp2p/identify']

  async start(): Promise<void> {
    if (this.#isStarted) return
    this.#isStarted = true
    const { registrar } = this.#components
    this.#running = new AbortController()
    for (const speakers of this.#speakers) speakers.start()
    for (const protocol of this.protocols) {
      await registrar.handle(protocol, (stream, connection) => this.#server.accept(stream, connection), {
        // The server's own bound is the one that counts. This one, a connection's, resets every stream of a burst that
        // goes over it, those that were there before included, so it is only the outer fence.
        maxInboundStreams: 4 * this.#limits.maxInboundStreamsPerPeer,
        maxOutboundStreams: this.#limits.maxOutboundStreamsPerPeer + 1,
        // Relays of this network carry whole files (network.relay.dataLimit); one that carries less ends the connection,
        // and what has arrived by then is kept.
        runOnLimitedConnection: true,
      })
    }
  }

  async stop(): Promise<void> {
    if (!this.#isStarted) return
    this.#isStarted = false
    const { registrar } = this.#components
    for (const protocol of this.protocols) await registrar.unhandle(protocol)
    this.#running.abort(new Error('the node stops'))
    this.#pool.stop()
    this.#proxyPool.stop()
    this.#server.stop()
    for (const speakers of this.#speakers) speakers.stop()
  }

  peers(): PeerId[] {
    const peers = this.#speakers.flatMap((speakers) => speakers.all())
    return [...new Map(peers.map((peer) => [peer.toString(), peer])).values()]
  }

  proxies(): PeerId[] {
    return this.#speakers[0]!.all()
  }

  async fetchByProxy(
    cid: CID,
    options: { peer: PeerId; root: CID; signal: AbortSignal },
  ): Promise<Uint8Array> {
    const signal = AbortSignal.any([options.signal, this.#running.signal])
    const { trust } = this.#init
    return fetchByProxy(cid, { ...options, signal }, { pool: this.#proxyPool, trust })
  }

  async fetchBlock(
    cid: CID,
    options: { peers?: PeerId[]; maxBytes?: number; signal: AbortSignal },
  ): Promise<{ bytes: Uint8Array; peer: PeerId; isPrivate: boolean }> {
    const { peerId: self } = this.#components
    const peers = options.peers ?? this.peers()
    const signal = AbortSignal.any([options.signal, this.#running.signal])
    return fetchBlock(cid, { ...options, peers, signal, self }, { pool: this.#pool, trust: this.#init.trust })
  }

  fetchDag(root: CID, options: FetchDagOptions): DagFetch {
    const signal = AbortSignal.any([options.signal, this.#running.signal])
    const { trust, log } = this.#init
    return new DagFetchSession(
      root,
      { ...options, signal },
      { pool: this.#pool, trust, log, limits: this.#limits },
    )
  }

  async exchangeCapabilities(peer: PeerId, signal: AbortSignal): Promise<Capabilities> {
    // An older peer would take the message for a breach of its rules.
    if (this.#speakers[0]?.has(peer) !== true) throw capabilitiesUnsupported()
    return this.#exchange.ask(peer, AbortSignal.any([signal, this.#running.signal]))
  }

  statistics(): ReturnType<Content['statistics']> {
    return {
      servedBytes: this.#server.servedBytes,
      servedBlocks: this.#server.servedBlocks,
      fetchedBytes: this.#fetchedBytes,
      fetchedBlocks: this.#fetchedBlocks,
      inboundStreams: this.#server.inboundStreams,
      outboundStreams: this.#pool.size + this.#proxyPool.size,
    }
  }

  /** One id, where it is known which: to agree on one of several takes a round trip more. */
  #spokenBy(peer: PeerId): string[] {
    const newest = this.#speakers.findIndex((speakers) => speakers.has(peer))
    return newest < 0 ? this.protocols : this.protocols.slice(newest, newest + 1)
  }
}
