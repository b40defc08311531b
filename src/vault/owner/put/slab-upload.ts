import type { PeerId } from '@libp2p/interface'
import { ChunkStatus } from '../../../../protocols/chunk/errors.ts'
import { type Signer, signIndex } from '../../../../protocols/chunk/format/index.ts'
import type { Chunk, Receipt, SignedBytes, SlabId, SlabIndex } from '../../../../protocols/chunk/types.ts'
import type { Logger } from '../../../telemetry/types.ts'
import type { Evidence } from '../../../trust/contract.ts'
import type { EncodedSegment, SegmentCodec } from '../../codec/index.ts'
import { tooFewHolders, writtenForm } from '../../place/index.ts'
import type { Redundancy } from '../../types.ts'
import {
  LAG_MS,
  LANE_IDLE_MS,
  MAX_TRIES_A_COLUMN,
  PIECE_TIMEOUT_MS,
  RECEIPT_TIMEOUT_MS,
  STORE_OPEN_TIMEOUT_MS,
  WINDOW_SEGMENTS,
} from '../limits.ts'
import { Deadline } from './deadline.ts'
import type { GroupHolders } from './group-holders.ts'
import type { Spool } from './spool.ts'
import type { Stages } from './stages.ts'

export interface SlabUploadOptions {
  slab: SlabId
  signer: Signer
  networkName: string
  redundancy: Redundancy
  group: GroupHolders
  lease: SignedBytes
  /** Upper bound of one column. */
  maxColumnBytes: number
  spool: Spool
  chunk: Pick<Chunk, 'store'>
  codec: SegmentCodec
  trust: Evidence
  stages: Stages
  log: Logger
  /** A holder is about to be sent a column. */
  onHolder(column: number, peer: string): void
  onReplaced(): void
  signal: AbortSignal
}

export interface StoredSlab {
  index: SlabIndex
  /** One byte a segment. */
  modes: Uint8Array
  receipts: { receipt: Receipt; peer: string }[]
  /** Columns that nobody took. */
  missing: number[]
}

interface Lane {
  column: number
  /** Pieces that its holder has taken. */
  sent: number
  /** Reads from the spool what it missed; nobody waits for it meanwhile. */
  behind: boolean
}

/**
 * Sends one slab to its holders, each column in a lane of its own. Segments are handed in as they are coded; lanes take them
 * from memory while they keep up, and from the spool when they do not, so that neither a slow holder nor one that takes
 * another's place holds up the others or makes the memory grow.
 */
export class SlabUpload {
  readonly #options: SlabUploadOptions
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #lanes: Lane[]
  readonly #work: Promise<(({ receipt: Receipt } & { peer: string }) | undefined)[]>
  readonly #window = new Map<number, EncodedSegment>()
  readonly #sealedBytes: number[] = []
  readonly #roots: Uint8Array[] = []
  readonly #modes: number[] = []
  readonly #index = Promise.withResolvers<SlabIndex>()
  #ended = false
  #allSentAtMs = 0
  #changed = Promise.withResolvers<void>()

  constructor(options: SlabUploadOptions) {
    this.#options = options
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal])
    this.#signal.addEventListener('abort', () => this.#change(), { once: true })
    this.#index.promise.catch(() => {})
    this.#lanes = Array.from({ length: options.redundancy.n }, (_, column) => ({
      column,
      sent: 0,
      behind: false,
    }))
    this.#work = Promise.all(this.#lanes.map((lane) => this.#run(lane))).catch((error: unknown) => {
      // One column that nobody takes ends all: what was sent expires.
      this.#stop.abort(error)
      throw error
    })
    this.#work.catch(() => {})
  }

  get segments(): number {
    return this.#sealedBytes.length
  }

  /** Takes the next segment. Resolves when the window has room again. @throws what ended a lane */
  async add(segment: EncodedSegment): Promise<void> {
    this.#signal.throwIfAborted()
    await this.#options.spool.append(segment.pieces, segment.sealedBytes)
    this.#window.set(this.segments, segment)
    this.#sealedBytes.push(segment.sealedBytes)
    this.#roots.push(...segment.roots)
    this.#modes.push(segment.mode)
    this.#change()
    await this.#room()
  }

  /**
   * No segment follows. Resolves with the receipts of all columns that somebody took: enough to read the slab.
   *
   * @throws ERR_TOO_FEW_HOLDERS where fewer than k did, what ended a lane
   */
  async finish(): Promise<StoredSlab> {
    const { signer, networkName, redundancy, group, stages } = this.#options
    const index = signIndex(signer, networkName, {
      group: group.id,
      ...redundancy,
      sealedBytes: this.#sealedBytes,
      roots: this.#roots,
    })
    this.#ended = true
    this.#index.resolve(index)
    this.#change()
    const results = await this.#work
    this.#release()
    if (this.#allSentAtMs > 0) stages.receipt += performance.now() - this.#allSentAtMs
    const receipts = results.filter((result) => result !== undefined)
    // Degraded is what can be read: what nobody could ever read again is not stored at all.
    if (receipts.length < redundancy.k) {
      const wanted = writtenForm(redundancy)
      throw tooFewHolders({ needed: redundancy.k, found: receipts.length, wanted, reasons: [] })
    }
    return {
      index,
      modes: Uint8Array.from(this.#modes),
      receipts,
      missing: results.flatMap((result, column) => (result === undefined ? [column] : [])),
    }
  }

  /** Ends all lanes. */
  async abort(reason: Error): Promise<void> {
    this.#stop.abort(reason)
    await this.#work.catch(() => {})
    this.#release()
  }

  /** A signal that somebody listens to lives as long as those it follows, and with it all that is reached from here. */
  #release(): void {
    this.#stop.abort(new Error('the slab is done'))
    this.#window.clear()
  }

  /** Brings one column to a holder, to another one where that fails. Undefined: nobody takes it. */
  async #run(lane: Lane): Promise<{ receipt: Receipt; peer: string } | undefined> {
    const { group, log, onHolder } = this.#options
    await this.#available(0)
    let peer = group.holder(lane.column) ?? (await group.replace(lane.column, undefined))
    let isIdleRetry = false
    for (let tries = 0; peer !== undefined; tries += 1) {
      this.#signal.throwIfAborted()
      onHolder(lane.column, peer.toString())
      lane.sent = 0
      lane.behind = !this.#window.has(0)
      const waited = { idle: false }
      try {
        return { receipt: await this.#send(lane, peer, waited), peer: peer.toString() }
      } catch (error) {
        this.#signal.throwIfAborted()
        lane.behind = true
        this.#change()
        log.info(
          { err: error, peer: peer.toString(), column: lane.column },
          'a holder did not take its column',
        )
        // While the source gave nothing the holder may have let go of the stream: that is not its fault.
        if (waited.idle && !isIdleRetry) {
          isIdleRetry = true
          continue
        }
        isIdleRetry = false
        this.#report(peer, error)
        if (tries >= MAX_TRIES_A_COLUMN) throw error
        peer = await group.replace(lane.column, peer, { wasSlow: isSlowness(error), reason: reasonOf(error) })
        if (peer !== undefined) this.#options.onReplaced()
      }
    }
    lane.behind = true
    this.#change()
    return undefined
  }

  async #send(lane: Lane, peer: PeerId, waited: { idle: boolean }): Promise<Receipt> {
    const { signer, redundancy, group, lease, maxColumnBytes, chunk, stages } = this.#options
    const deadline = new Deadline(this.#signal)
    const { signal } = deadline
    try {
      const open = {
        publicKey: signer.publicKey,
        group: group.id,
        column: lane.column,
        ...redundancy,
        maxColumnBytes,
        lease,
        purpose: 'put' as const,
      }
      const stream = await deadline.within(STORE_OPEN_TIMEOUT_MS, 'asking the holder', () =>
        chunk.store(peer, open, signal),
      )
      try {
        for (let at = 0; ; at += 1) {
          const piece = await this.#piece(lane, at, waited)
          if (piece === undefined) break
          const startMs = performance.now()
          await deadline.within(PIECE_TIMEOUT_MS, 'sending a piece', () => stream.write(piece, signal))
          stages.send += (performance.now() - startMs) / redundancy.n
          lane.sent = at + 1
          if (lane.behind && this.#window.has(lane.sent)) lane.behind = false
          this.#change()
        }
        this.#allSentAtMs = performance.now()
        const index = await this.#index.promise
        return await deadline.within(RECEIPT_TIMEOUT_MS, 'waiting for the receipt', () =>
          stream.finish(index, signal),
        )
      } catch (error) {
        stream.abort(error as Error)
        throw error
      }
    } finally {
      deadline.end()
    }
  }

  /** The lane's piece of a segment, once there is one; undefined after the last. */
  async #piece(lane: Lane, segment: number, waited: { idle: boolean }): Promise<Uint8Array | undefined> {
    const sinceMs = performance.now()
    if (!(await this.#available(segment))) return undefined
    waited.idle = performance.now() - sinceMs >= LANE_IDLE_MS
    const inMemory = this.#window.get(segment)?.pieces[lane.column]
    if (inMemory !== undefined) return inMemory
    const { spool, codec } = this.#options
    return spool.piece(segment, lane.column, codec, this.#signal)
  }

  /** False: the slab ended before this segment. */
  async #available(segment: number): Promise<boolean> {
    while (segment >= this.segments) {
      if (this.#ended) return false
      // It may have been aborted before anybody listened: then nothing would end the wait.
      this.#signal.throwIfAborted()
      await this.#changed.promise
      this.#signal.throwIfAborted()
    }
    return true
  }

  /** Lets go of segments that every lane has; of the oldest too, where someone is too slow to wait for. */
  async #room(): Promise<void> {
    const giveUpAtMs = performance.now() + LAG_MS
    for (;;) {
      this.#signal.throwIfAborted()
      const oldest = this.segments - this.#window.size
      const keeping = this.#lanes.filter(({ behind }) => !behind)
      const needed = keeping.length === 0 ? this.segments : Math.min(...keeping.map(({ sent }) => sent))
      for (let at = oldest; at < needed; at += 1) this.#window.delete(at)
      if (this.#window.size < WINDOW_SEGMENTS) return
      const leftMs = giveUpAtMs - performance.now()
      if (leftMs <= 0) {
        const first = this.segments - this.#window.size
        this.#window.delete(first)
        for (const lane of this.#lanes) if (lane.sent <= first) lane.behind = true
        return
      }
      await this.#changeWithin(leftMs)
    }
  }

  async #changeWithin(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs)
    })
    await Promise.race([this.#changed.promise, timeout])
    clearTimeout(timer)
  }

  #change(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  #report(peer: PeerId, error: unknown): void {
    const { code, status } = error as { code?: unknown; status?: unknown }
    // It keeps to what its owner said before, perhaps from another machine: nothing failed.
    if (
      code === 'ERR_CHUNK_REFUSED' &&
      (status === ChunkStatus.conflict || status === ChunkStatus.tombstoned)
    )
      return
    const kind = code === 'ERR_CHUNK_INVALID' ? 'receipt-broken' : 'transfer-failed'
    const reason = typeof code === 'string' ? code : 'the connection failed or was too slow'
    this.#options.trust.report(peer.toString(), kind, { reason })
  }
}

/** The stream ended or took too long, or the holder had too much to do; neither a refusal nor anything false. */
function isSlowness(error: unknown): boolean {
  const { code, status } = error as { code?: unknown; status?: unknown }
  if (code === 'ERR_CHUNK_REFUSED') return status === ChunkStatus.busy
  return code !== 'ERR_CHUNK_INVALID' && code !== 'ERR_PEER_DENIED'
}

/** What a user is told of a holder that did not take its column: what it said, or that it was too slow. */
function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown }
  return code === 'ERR_CHUNK_REFUSED'
    ? String(message)
    : `it failed or was too slow in this put (${String(message)})`
}
