import { type PeerId, type Startable, serviceCapabilities, serviceDependencies } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { DagFetchSession } from './fetch.ts'
import { fetchBlock } from './fetch-block.ts'
import type { ContentComponents, ContentInit } from './index.ts'
import { type ContentLimits, defaultLimits, MIN_CREDIT_WINDOW_BYTES } from './limits.ts'
import { ContentServer } from './server.ts'
import { StreamPool } from './stream-pool.ts'
import type { Content, DagFetch, FetchDagOptions } from './types.ts'

/** The libp2p service: registers the protocol, keeps track of who speaks it, and starts fetches. */
export class ContentService implements Content, Startable {
  readonly protocols: string[]
  readonly #init: ContentInit
  readonly #components: ContentComponents
  readonly #limits: ContentLimits
  readonly #server: ContentServer
  readonly #pool: StreamPool
  readonly #peers = new Map<string, PeerId>()
  /** Aborted on stop: ends every fetch. */
  #running = new AbortController()
  #topologyId: string | undefined
  #fetchedBytes = 0
  #fetchedBlocks = 0

  constructor(components: ContentComponents, init: ContentInit) {
    this.#components = components
    this.#init = init
    this.#limits = { ...defaultLimits, ...init.limits }
    this.#limits.creditWindowBytes = Math.max(this.#limits.creditWindowBytes, MIN_CREDIT_WINDOW_BYTES)
    this.protocols = [`/p2pnode/${init.networkName}/content/1.0.0`]
    const { blocks, trust, bandwidth, log } = init
    this.#server = new ContentServer({ blocks, trust, bandwidth, log, limits: this.#limits })
    this.#pool = new StreamPool({
      protocol: this.protocols[0]!,
      connections: components.connectionManager,
      trust,
      bandwidth,
      log,
      limits: this.#limits,
      onReceived: (bytes) => {
        this.#fetchedBytes += bytes
        this.#fetchedBlocks += 1
      },
    })
  }

  readonly [Symbol.toStringTag] = '@p2pnode/content'
  readonly [serviceCapabilities]: string[] = ['@p2pnode/content']
  // Who speaks the protocol is known from identify.
  readonly [serviceDependencies]: string[] = ['@libp2p/identify']

  async start(): Promise<void> {
    if (this.#topologyId !== undefined) return
    const { registrar } = this.#components
    const protocol = this.protocols[0]!
    this.#running = new AbortController()
    this.#topologyId = await registrar.register(protocol, {
      notifyOnLimitedConnection: true,
      onConnect: (peer) => void this.#peers.set(peer.toString(), peer),
      onDisconnect: (peer) => void this.#peers.delete(peer.toString()),
    })
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

  async stop(): Promise<void> {
    if (this.#topologyId === undefined) return
    this.#components.registrar.unregister(this.#topologyId)
    this.#topologyId = undefined
    await this.#components.registrar.unhandle(this.protocols[0]!)
    this.#running.abort(new Error('the node stops'))
    this.#pool.stop()
    this.#server.stop()
    this.#peers.clear()
  }

  peers(): PeerId[] {
    return [...this.#peers.values()]
  }

  async fetchBlock(
    cid: CID,
    options: { peers?: PeerId[]; signal: AbortSignal },
  ): Promise<{ bytes: Uint8Array; peer: PeerId }> {
    const { peerId: self } = this.#components
    const peers = options.peers ?? this.peers()
    const signal = AbortSignal.any([options.signal, this.#running.signal])
    return fetchBlock(cid, { peers, signal, self }, { pool: this.#pool, trust: this.#init.trust })
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

  statistics(): ReturnType<Content['statistics']> {
    return {
      servedBytes: this.#server.servedBytes,
      servedBlocks: this.#server.servedBlocks,
      fetchedBytes: this.#fetchedBytes,
      fetchedBlocks: this.#fetchedBlocks,
      inboundStreams: this.#server.inboundStreams,
      outboundStreams: this.#pool.size,
    }
  }
}
