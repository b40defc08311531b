import type { Connection, Stream } from '@libp2p/interface'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence, Policy } from '../../src/trust/contract.ts'
import type { Bandwidth } from '../shared/bandwidth.ts'
import { FairSlots } from '../shared/fair-slots.ts'
import { streamFailed } from './errors.ts'
import type { ChunkLimits } from './limits.ts'
import { ServerStream, type StreamUse } from './server-stream.ts'
import type { HolderContext } from './session.ts'
import type { ChunkHolder } from './types.ts'

export interface ChunkServerInit {
  holder: ChunkHolder
  trust: Policy & Evidence
  bandwidth?: Bandwidth | undefined
  limits: ChunkLimits
  log: Logger
  onSent(bytes: number): void
  onReceived(bytes: number): void
}

interface OfPeer {
  streams: Set<ServerStream>
  drafts: number
}

/** Takes inbound streams, bounded per peer and in all, and lets each be answered. */
export class ChunkServer {
  readonly #init: ChunkServerInit
  readonly #context: HolderContext
  readonly #slots: FairSlots
  readonly #peers = new Map<string, OfPeer>()
  #streamCount = 0
  #draftCount = 0

  constructor(init: ChunkServerInit) {
    this.#init = init
    const { limits } = init
    this.#slots = new FairSlots(limits.maxPiecesInMemory, limits.maxPiecesInMemoryPerPeer)
    this.#context = { ...init, slots: this.#slots, takeDraft: (peer) => this.#takeDraft(peer) }
  }

  get inboundStreams(): number {
    return this.#streamCount
  }

  /** Columns that are being stored here; for tests and metrics. */
  get drafts(): number {
    return this.#draftCount
  }

  accept(stream: Stream, connection: Connection): void {
    const { limits } = this.#init
    const peer = connection.remotePeer.toString()
    const ofPeer = this.#ofPeer(peer)
    if (ofPeer.streams.size >= limits.maxInboundStreamsPerPeer) {
      this.#refuse(stream, peer, 'streams-per-peer')
      return
    }
    if (this.#streamCount >= limits.maxInboundStreams) {
      // That this node is full is not the peer's doing.
      stream.abort(streamFailed('streams'))
      this.#forgetUnused(peer, ofPeer)
      return
    }
    const served = new ServerStream(stream, peer, this.#context, {
      mayBe: (use) => this.#mayBe(ofPeer, peer, use),
      onEnd: () => {
        ofPeer.streams.delete(served)
        this.#streamCount -= 1
        this.#forgetUnused(peer, ofPeer)
      },
    })
    ofPeer.streams.add(served)
    this.#streamCount += 1
  }

  /** Aborts what is open. */
  stop(): void {
    for (const { streams } of this.#peers.values()) {
      for (const served of streams) served.abort(streamFailed('the node stops'))
    }
  }

  #mayBe(ofPeer: OfPeer, peer: string, use: StreamUse): boolean {
    if (use !== 'control') return true
    let count = 0
    for (const served of ofPeer.streams) if (served.use === 'control') count += 1
    if (count < this.#init.limits.maxControlStreamsPerPeer) return true
    this.#report(peer, 'control-streams')
    return false
  }

  #refuse(stream: Stream, peer: string, limit: string): void {
    this.#report(peer, limit)
    stream.abort(streamFailed(limit))
  }

  #report(peer: string, limit: string): void {
    this.#init.trust.report(peer, 'limit-exceeded', { protocol: 'chunk', limit })
  }

  #takeDraft(peer: string): (() => void) | undefined {
    const { limits } = this.#init
    const ofPeer = this.#ofPeer(peer)
    if (ofPeer.drafts >= limits.maxDraftsPerPeer || this.#draftCount >= limits.maxDrafts) return undefined
    ofPeer.drafts += 1
    this.#draftCount += 1
    return () => {
      ofPeer.drafts -= 1
      this.#draftCount -= 1
      this.#forgetUnused(peer, ofPeer)
    }
  }

  #ofPeer(peer: string): OfPeer {
    const known = this.#peers.get(peer)
    if (known !== undefined) return known
    const ofPeer: OfPeer = { streams: new Set(), drafts: 0 }
    this.#peers.set(peer, ofPeer)
    return ofPeer
  }

  #forgetUnused(peer: string, ofPeer: OfPeer): void {
    const isUsed = ofPeer.streams.size > 0 || ofPeer.drafts > 0
    if (!isUsed && this.#peers.get(peer) === ofPeer) this.#peers.delete(peer)
  }
}
