import type { Connection, PeerId, Stream } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence, Policy } from '../../src/trust/contract.ts'
import type { Bandwidth } from '../shared/bandwidth.ts'
import { FairSlots } from '../shared/fair-slots.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { streamFailed } from './errors.ts'
import { type ContentLimits, MAX_PROXIED_BLOCKS, MAX_PROXIED_BLOCKS_PER_PEER } from './limits.ts'
import { ServerStream } from './server-stream.ts'
import type { BlockSource, Capabilities, ProxyServer } from './types.ts'

export interface ContentServerInit {
  blocks: BlockSource
  isPrivate: (cid: CID) => boolean
  proxy?: ProxyServer | undefined
  trust: Policy & Evidence
  bandwidth?: Bandwidth | undefined
  limits: ContentLimits
  log: Logger
  /** The frame that answers what a peer told of itself. @throws what ends the stream */
  onCapabilities: (peer: PeerId, told: Capabilities) => Uint8Array
}

/** Takes inbound streams, bounded per peer and in all, and lets each be answered. */
export class ContentServer {
  readonly #init: ContentServerInit
  readonly #slots: FairSlots
  readonly #proxySlots = new FairSlots(MAX_PROXIED_BLOCKS, MAX_PROXIED_BLOCKS_PER_PEER)
  readonly #streams = new Map<string, Set<ServerStream>>()
  #streamCount = 0
  servedBytes = 0
  servedBlocks = 0

  constructor(init: ContentServerInit) {
    this.#init = init
    this.#slots = new FairSlots(init.limits.maxBlocksInMemory, init.limits.maxBlocksInMemoryPerPeer)
  }

  get inboundStreams(): number {
    return this.#streamCount
  }

  /** Blocks that are in memory for being sent; for tests and metrics. */
  get blocksInMemory(): number {
    return this.#slots.held
  }

  accept(stream: Stream, connection: Connection): void {
    const { limits, trust } = this.#init
    const peer = connection.remotePeer.toString()
    const ofPeer = this.#streams.get(peer) ?? new Set()
    if (ofPeer.size >= limits.maxInboundStreamsPerPeer || this.#streamCount >= limits.maxInboundStreams) {
      const limit = ofPeer.size >= limits.maxInboundStreamsPerPeer ? 'streams-per-peer' : 'streams'
      // That this node is full is not the peer's doing.
      if (limit === 'streams-per-peer') trust.report(peer, 'limit-exceeded', { protocol: 'content', limit })
      stream.abort(streamFailed(limit))
      return
    }
    let hasTold = false
    const served = new ServerStream({
      ...this.#init,
      stream,
      peer,
      slots: this.#slots,
      onCapabilities: (told) => {
        if (hasTold) throw new ProtocolViolationError('repeated-capabilities', 'told before')
        hasTold = true
        return this.#init.onCapabilities(connection.remotePeer, told)
      },
      proxySlots: this.#proxySlots,
      onSent: (bytes) => {
        this.servedBytes += bytes
        this.servedBlocks += 1
      },
    })
    ofPeer.add(served)
    this.#streams.set(peer, ofPeer)
    this.#streamCount += 1
    void served.run().then(() => {
      ofPeer.delete(served)
      if (ofPeer.size === 0 && this.#streams.get(peer) === ofPeer) this.#streams.delete(peer)
      this.#streamCount -= 1
    })
  }

  /** Aborts what is open. */
  stop(): void {
    for (const ofPeer of this.#streams.values()) {
      for (const served of ofPeer) served.abort(streamFailed('the node stops'))
    }
  }
}
