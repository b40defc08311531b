import {
  type PeerId,
  type Startable,
  type Stream,
  serviceCapabilities,
  serviceDependencies,
} from '@libp2p/interface'
import type { Action } from '../../src/trust/contract.ts'
import { Speakers } from '../shared/speakers.ts'
import { Status } from '../shared/status.ts'
import type { AnswerBody } from './answers.ts'
import { type ClientStreamInit, type ControlAnswer, ControlStream } from './client-control.ts'
import { FetchStream } from './client-fetch.ts'
import { StoreClientStream } from './client-store.ts'
import {
  ChunkRefusedError,
  ChunkStatus,
  cancelled,
  chunkInvalid,
  chunkNotFound,
  peerDenied,
} from './errors.ts'
import {
  decodeDeletion,
  decodeIndex,
  decodeLease,
  decodeSigned,
  MAX_INDEX_PAYLOAD_BYTES,
  sameBytes,
  slabKeyOf,
  verifyProof,
} from './format/index.ts'
import type { ChunkComponents, ChunkInit } from './index.ts'
import {
  type ChunkLimits,
  defaultLimits,
  MAX_PEERS_PER_HINT,
  MAX_SLABS_PER_HAVE,
  MAX_SLABS_PER_LOCATE,
  MAX_STATEMENTS_PER_MESSAGE,
  MIN_WINDOW_BYTES,
} from './limits.ts'
import type { ControlRequest } from './requests.ts'
import { ChunkServer } from './server.ts'
import { SharedStreams, StreamPool } from './stream-pool.ts'
import type {
  Capacity,
  Chunk,
  Deletion,
  FetchOptions,
  Found,
  HeldColumn,
  Hint,
  Lease,
  LocateQuery,
  SignedBytes,
  SlabId,
  SlabIndex,
  StoreOpen,
  StoreStream,
} from './types.ts'

type PeerListener = Parameters<Chunk['onPeer']>[0]

/** The libp2p service: registers the protocol, keeps track of who speaks it, and asks. */
export class ChunkService implements Chunk, Startable {
  readonly protocols: string[]
  readonly #init: ChunkInit
  readonly #components: ChunkComponents
  readonly #limits: ChunkLimits
  readonly #server: ChunkServer
  readonly #control: SharedStreams<ControlStream>
  readonly #stores: StreamPool<StoreClientStream>
  readonly #fetches: StreamPool<FetchStream>
  readonly #speakers: Speakers
  readonly #listeners = new Set<PeerListener>()
  /** Aborted on stop: ends every request. */
  #running = new AbortController()
  #isStarted = false
  #sentBytes = 0
  #receivedBytes = 0

  constructor(components: ChunkComponents, init: ChunkInit) {
    this.#components = components
    this.#init = init
    this.#limits = { ...defaultLimits, ...init.limits }
    const limits = this.#limits
    limits.storeWindowBytes = Math.max(limits.storeWindowBytes, MIN_WINDOW_BYTES)
    limits.fetchWindowBytes = Math.max(limits.fetchWindowBytes, MIN_WINDOW_BYTES)
    this.protocols = [`/p2pnode/${init.networkName}/chunk/1.0.0`]
    this.#speakers = new Speakers(components.events, this.protocols[0]!, {
      onSpeaker: (peer) => this.#tell('connected', peer),
      onGone: (peer) => this.#tell('disconnected', peer),
    })
    const { holder, trust, bandwidth, log, networkName } = init
    const onSent = (bytes: number): void => {
      this.#sentBytes += bytes
    }
    const onReceived = (bytes: number): void => {
      this.#receivedBytes += bytes
    }
    this.#server = new ChunkServer({ holder, trust, bandwidth, log, limits, onSent, onReceived })
    const pool = {
      protocol: this.protocols[0]!,
      connections: components.connectionManager,
      maxStreams: limits.maxOutboundStreamsPerPeer,
      idleMs: limits.pooledStreamMs,
    }
    const end = (stream: Stream, peer: PeerId): ClientStreamInit => ({
      stream,
      peer: peer.toString(),
      trust,
      bandwidth,
      limits,
      log,
      onSent,
      onReceived,
    })
    this.#control = new SharedStreams({
      ...pool,
      wrap: (stream, peer) => new ControlStream(end(stream, peer)),
    })
    this.#fetches = new StreamPool({ ...pool, wrap: (stream, peer) => new FetchStream(end(stream, peer)) })
    this.#stores = new StreamPool({
      ...pool,
      wrap: (stream, peerId) => new StoreClientStream({ ...end(stream, peerId), peerId, networkName }),
    })
  }

  readonly [Symbol.toStringTag] = '@p2pnode/chunk'
  readonly [serviceCapabilities]: string[] = ['@p2pnode/chunk']
  // Who speaks the protocol is known from identify.
  readonly [serviceDependencies]: string[] = ['@libp2p/identify']

  async start(): Promise<void> {
    if (this.#isStarted) return
    this.#isStarted = true
    const { registrar } = this.#components
    const protocol = this.protocols[0]!
    this.#running = new AbortController()
    this.#speakers.start()
    await registrar.handle(protocol, (stream, connection) => this.#server.accept(stream, connection), {
      // The server's own bound is the one that counts. This one, a connection's, resets every stream of a burst that
      // goes over it, those that were there before included, so it is only the outer fence.
      maxInboundStreams: 4 * this.#limits.maxInboundStreamsPerPeer,
      maxOutboundStreams: 2 * this.#limits.maxOutboundStreamsPerPeer + 2,
      // Relays of this network carry whole columns (network.relay.dataLimit); a transfer that is cut goes on at a piece.
      runOnLimitedConnection: true,
    })
  }

  async stop(): Promise<void> {
    if (!this.#isStarted) return
    this.#isStarted = false
    await this.#components.registrar.unhandle(this.protocols[0]!)
    this.#running.abort(new Error('the node stops'))
    for (const pool of [this.#control, this.#stores, this.#fetches]) pool.stop()
    this.#server.stop()
    this.#speakers.stop()
  }

  peers(): PeerId[] {
    return this.#speakers.all()
  }

  onPeer(listener: PeerListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async store(peer: PeerId, open: StoreOpen, signal: AbortSignal): Promise<StoreStream> {
    this.#ask(peer, 'place')
    const lease = decodeLease(open.lease, this.#init.networkName)
    if (!sameBytes(lease.publicKey, open.publicKey)) throw chunkInvalid('a lease of another slab')
    const any = this.#whileRunning(signal)
    const stream = await this.#stores.acquire(peer, any)
    const release = (): void => this.#stores.release(peer, stream)
    try {
      return await stream.store(open, lease, any, release)
    } catch (error) {
      release()
      throw error
    }
  }

  async *fetch(
    peer: PeerId,
    index: SlabIndex,
    column: number,
    options: FetchOptions,
  ): AsyncGenerator<{ segment: number; bytes: Uint8Array }> {
    this.#ask(peer, 'fetch')
    // Throws where there is no such piece.
    for (const segment of options.segments) index.root(segment, column)
    if (options.segments.length === 0) return
    const signal = this.#whileRunning(options.signal)
    const stream = await this.#fetches.acquire(peer, signal)
    try {
      yield* stream.fetch(index, column, options.segments, signal)
    } finally {
      this.#fetches.release(peer, stream)
    }
  }

  async capacity(peer: PeerId, signal: AbortSignal): Promise<Capacity> {
    const { capacity } = await this.#request(peer, { kind: 'capacity' }, 'capacity', signal)
    return capacity
  }

  async have(peer: PeerId, slabs: readonly SlabId[], signal: AbortSignal): Promise<HeldColumn[]> {
    if (slabs.length > MAX_SLABS_PER_HAVE) throw new RangeError(`at most ${MAX_SLABS_PER_HAVE} slabs a call`)
    if (slabs.length === 0) return []
    const { columns } = await this.#request(peer, { kind: 'have', slabs }, 'held', signal)
    return columns.map((held) => ({ ...held, slab: slabs[held.slab]! }))
  }

  async index(peer: PeerId, slab: SlabId, signal: AbortSignal): Promise<SlabIndex> {
    const { index: bytes } = await this.#answer(peer, { kind: 'index', slab }, signal)
    return this.#checked(peer, 'index', slab, () =>
      decodeIndex(decodeSigned(bytes ?? new Uint8Array(0), MAX_INDEX_PAYLOAD_BYTES), this.#init.networkName),
    )
  }

  async lease(peer: PeerId, slab: SlabId, signal: AbortSignal): Promise<Lease> {
    const { lease } = await this.#request(peer, { kind: 'lease', slab }, 'lease', signal)
    return this.#checked(peer, 'lease', slab, () => decodeLease(lease, this.#init.networkName))
  }

  async audit(
    peer: PeerId,
    index: SlabIndex,
    { column, segment, leaf }: { column: number; segment: number; leaf: number },
    signal: AbortSignal,
  ): Promise<void> {
    const root = index.root(segment, column)
    const { slab } = index
    const { body } = await this.#answer(peer, { kind: 'audit', slab, column, segment, leaf }, signal)
    if (body?.kind === 'tombstones') {
      this.#checked(peer, 'deletion', slab, () => deletionIn(body.deletions, this.#init.networkName))
      throw new ChunkRefusedError(ChunkStatus.tombstoned)
    }
    if (body?.kind !== 'proof' || !verifyProof(root, index.pieceBytes(segment), leaf, body.proof)) {
      throw chunkInvalid(`a wrong proof: slab ${slabKeyOf(slab)}, column ${column}`)
    }
  }

  async renew(peer: PeerId, leases: readonly SignedBytes[], signal: AbortSignal): Promise<number[]> {
    return await this.#inBatches(leases, async (batch) => {
      return await this.#request(peer, { kind: 'renew', leases: batch }, 'statuses', signal)
    })
  }

  async remove(peer: PeerId, deletions: readonly SignedBytes[], signal: AbortSignal): Promise<number[]> {
    return await this.#inBatches(deletions, async (batch) => {
      return await this.#request(peer, { kind: 'delete', deletions: batch }, 'statuses', signal)
    })
  }

  async tombstones(
    peer: PeerId,
    after: number,
    signal: AbortSignal,
  ): Promise<{ deletions: SignedBytes[]; next: number }> {
    const answer = await this.#request(peer, { kind: 'tombstones', after }, 'tombstones', signal)
    return { deletions: answer.deletions, next: answer.next }
  }

  async claim(
    peer: PeerId,
    claim: { slab: SlabId; column: number; ttlMs: number },
    signal: AbortSignal,
  ): Promise<boolean> {
    try {
      return (await this.#request(peer, { kind: 'claim', ...claim }, 'claimed', signal)).granted
    } catch (error) {
      if (error instanceof ChunkRefusedError) return false
      throw error
    }
  }

  async hint(peer: PeerId, hint: Hint, signal: AbortSignal): Promise<void> {
    const peers = hint.peers.slice(0, MAX_PEERS_PER_HINT)
    await this.#answer(peer, { kind: 'hint', hint: { group: hint.group, peers } }, signal)
  }

  async locate(peer: PeerId, query: LocateQuery, signal: AbortSignal): Promise<Found[]> {
    const { slabs } = query
    if (slabs.length > MAX_SLABS_PER_LOCATE) {
      throw new RangeError(`at most ${MAX_SLABS_PER_LOCATE} slabs a query`)
    }
    const { found } = await this.#request(peer, { kind: 'locate', query }, 'located', signal)
    return found.map((entry) => ({ ...entry, slab: slabs[entry.slab]! }))
  }

  statistics(): ReturnType<Chunk['statistics']> {
    return {
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
      inboundStreams: this.#server.inboundStreams,
      outboundStreams: this.#control.size + this.#stores.size + this.#fetches.size,
    }
  }

  /** A request with a body in its answer; the stream has made sure that the kinds fit. */
  async #request<K extends AnswerBody['kind']>(
    peer: PeerId,
    request: ControlRequest,
    kind: K,
    signal: AbortSignal,
  ): Promise<Extract<AnswerBody, { kind: K }>> {
    const { body } = await this.#answer(peer, request, signal)
    if (body?.kind !== kind) throw new Error(`the answer to ${request.kind} is no ${kind}`)
    return body as Extract<AnswerBody, { kind: K }>
  }

  async #answer(peer: PeerId, request: ControlRequest, signal: AbortSignal): Promise<ControlAnswer> {
    const any = this.#whileRunning(signal)
    const stream = await this.#control.share(peer, any)
    try {
      return await stream.request(request, any)
    } catch (error) {
      const isMissing = error instanceof ChunkRefusedError && error.status === Status.notFound
      throw isMissing ? chunkNotFound('slab' in request ? `slab ${slabKeyOf(request.slab)}` : 'that') : error
    }
  }

  async #inBatches(
    statements: readonly SignedBytes[],
    ask: (batch: readonly SignedBytes[]) => Promise<{ statuses: number[] }>,
  ): Promise<number[]> {
    const statuses: number[] = []
    for (let at = 0; at < statements.length; at += MAX_STATEMENTS_PER_MESSAGE) {
      statuses.push(...(await ask(statements.slice(at, at + MAX_STATEMENTS_PER_MESSAGE))).statuses)
    }
    return statuses
  }

  /** What a peer says that a slab has signed. @throws ERR_CHUNK_INVALID where the slab did not: that is evidence */
  #checked<T extends { slab: SlabId }>(peer: PeerId, what: string, slab: SlabId, read: () => T): T {
    try {
      const statement = read()
      if (!sameBytes(statement.slab, slab)) throw chunkInvalid(`the ${what} of another slab`)
      return statement
    } catch (error) {
      this.#init.trust.report(peer.toString(), 'message-invalid', { protocol: 'chunk', what })
      throw error
    }
  }

  /** @throws ERR_PEER_DENIED */
  #ask(peer: PeerId, action: Action): void {
    const decision = this.#init.trust.decide(peer.toString(), action)
    if (!decision.allowed) throw peerDenied(peer.toString(), decision.reason)
  }

  /** @throws ERR_CANCELLED where it is too late already */
  #whileRunning(signal: AbortSignal): AbortSignal {
    const any = AbortSignal.any([signal, this.#running.signal])
    if (any.aborted) throw cancelled(any.reason)
    return any
  }

  #tell(type: 'connected' | 'disconnected', peer: PeerId): void {
    for (const listener of this.#listeners) {
      try {
        listener({ type, peer })
      } catch (error) {
        this.#init.log.error({ error: String(error) }, 'a listener of peers failed')
      }
    }
  }
}

/** @throws ERR_CHUNK_INVALID */
function deletionIn(deletions: readonly SignedBytes[], networkName: string): Deletion {
  const [deletion] = deletions
  if (deletion === undefined || deletions.length > 1)
    throw chunkInvalid('an audit is answered by one deletion')
  return decodeDeletion(deletion, networkName)
}
