import type { PeerId } from '@libp2p/interface'
import type { Chunk, SlabIndex } from '../../../protocols/chunk/types.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { FairSlots } from '../../../protocols/shared/fair-slots.ts'
import { Wakeup } from '../../../protocols/shared/wakeup.ts'
import { unlessAborted } from '../../../protocols/shared/unless-aborted.ts'
import type { ColumnAt } from '../contracts.ts'
import type { LaneOrder, LostReason } from './board.ts'
import { SegmentBoard } from './board.ts'
import { piecesNotFound } from './errors.ts'
import { LAST_WORD_MS, LATE_CHECK_MS, MAX_SEARCHES_AGAIN, PAUSE_CLOSE_MS } from './limits.ts'
import type { PeerSpeeds } from './speeds.ts'
import type { SourceCounts } from './statistics.ts'

export interface SlabFetchOptions {
  chunk: Pick<Chunk, 'fetch'>
  speeds: PeerSpeeds
  index: SlabIndex
  /** Those that are wanted, ascending. */
  segments: readonly number[]
  signal: AbortSignal
  /** Streams to one peer, of all reads together: who waits for one is not late. */
  turns: FairSlots
  counts: SourceCounts
  /** A holder does not have what it said, or has wrong bytes: whoever repairs should know. */
  onMissing: (columns: number[]) => void
  /** Asks for holders again; those that are found are offered before it resolves. */
  searchAgain: () => Promise<void>
}

/** k pieces of one segment, by column. */
export type SegmentPieces = Map<number, Uint8Array>

interface Waiting {
  /** Too few holders, even after a further search. */
  isGivenUp: boolean
  pieces: SegmentPieces
  result: PromiseWithResolvers<SegmentPieces>
}

interface OpenLane {
  stop: AbortController
  wakeup: Wakeup
}

/**
 * Pieces of one slab on their way: one stream a holder, each held back at the horizon, so that what is in memory is what
 * the reader will soon take.
 */
export class SlabFetch {
  readonly #options: SlabFetchOptions
  readonly #board: SegmentBoard
  readonly #peers = new Map<string, PeerId>()
  readonly #waiting = new Map<number, Waiting>()
  readonly #lanes = new Map<number, OpenLane>()
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  #horizon = -1
  #timer: NodeJS.Timeout | undefined
  #isBegun = false
  #isAsking = false
  #searches = 0

  constructor(options: SlabFetchOptions) {
    const { index, segments, speeds } = options
    this.#options = options
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal])
    const pieceBytes = Math.max(...segments.map((segment) => index.pieceBytes(segment)))
    this.#board = new SegmentBoard({
      k: index.k,
      segments,
      expectedMs: (peer) => speeds.expectedMs(peer, pieceBytes),
      costMs: (peer) => speeds.costMs(peer, pieceBytes),
    })
    for (const segment of segments) {
      const result = Promise.withResolvers<SegmentPieces>()
      // Whoever takes it gets the error; until then it must not count as unhandled.
      result.promise.catch(() => {})
      this.#waiting.set(segment, { isGivenUp: false, pieces: new Map(), result })
    }
    this.#signal.addEventListener('abort', () => this.#fail(this.#signal.reason), { once: true })
  }

  get index(): SlabIndex {
    return this.#options.index
  }

  /** Columns that may be had. */
  get columns(): number {
    return this.#board.columns
  }

  offer({ column, peer, indexHash }: ColumnAt): void {
    const name = peer.toString()
    const { index, speeds } = this.#options
    if (Buffer.compare(indexHash, index.hash) !== 0 || column >= index.n || speeds.isAvoided(name)) return
    this.#peers.set(name, peer)
    if (this.#board.offer(name, column)) this.#schedule()
    else this.#board.renewed(name)
  }

  /** Lets streams begin, once enough holders are known to choose from. */
  begin(): void {
    if (this.#isBegun || this.#signal.aborted) return
    this.#isBegun = true
    this.#timer = setInterval(() => this.#check(), LATE_CHECK_MS)
    this.#timer.unref()
    this.#schedule()
  }

  /** Pieces up to this segment may be kept in memory. */
  allow(segment: number): void {
    if (segment <= this.#horizon) return
    this.#horizon = segment
    for (const lane of this.#lanes.values()) lane.wakeup.notify()
    this.#schedule()
  }

  /**
   * The segment's k pieces; each segment can be taken once.
   *
   * @throws ERR_VAULT_PIECES, the signal's reason
   */
  async take(segment: number): Promise<SegmentPieces> {
    const waiting = this.#waiting.get(segment)
    if (waiting === undefined) throw new Error(`segment ${segment} was not asked for, or was taken`)
    const pieces = await waiting.result.promise
    this.#waiting.delete(segment)
    return pieces
  }

  close(): void {
    this.#stop.abort(new Error('the reader has left'))
  }

  #fail(error: unknown): void {
    clearInterval(this.#timer)
    for (const { result } of this.#waiting.values()) result.reject(error)
    for (const { stop } of this.#lanes.values()) stop.abort(error)
  }

  #schedule(): void {
    if (!this.#isBegun || this.#signal.aborted) return
    for (const order of this.#board.orders(performance.now(), this.#horizon)) {
      const lane: OpenLane = { stop: new AbortController(), wakeup: new Wakeup() }
      this.#lanes.set(order.lane, lane)
      void this.#run(order, lane)
    }
    if (this.#board.isComplete) clearInterval(this.#timer)
    else this.#lookAhead()
  }

  /** Asks for more holders as soon as what is wanted soon cannot be had from those that are known. */
  #lookAhead(): void {
    if (this.#isAsking) return
    for (const [segment, waiting] of this.#waiting) {
      if (segment > this.#horizon) return
      if (waiting.isGivenUp || !this.#board.outlook(segment).isHopeless) continue
      this.#isAsking = true
      void this.#askAgain(segment, waiting)
      return
    }
  }

  async #askAgain(segment: number, waiting: Waiting): Promise<void> {
    const { index, searchAgain } = this.#options
    if (this.#searches < MAX_SEARCHES_AGAIN) {
      this.#searches += 1
      await searchAgain().catch(() => {})
      this.#isAsking = false
    } else {
      this.#isAsking = false
      waiting.isGivenUp = true
      const counts = { found: this.#board.outlook(segment).pieces, needed: index.k, n: index.n, segment }
      waiting.result.reject(piecesNotFound(index.slab, counts))
    }
    if (!this.#signal.aborted) this.#schedule()
  }

  #check(): void {
    const { late, stalled } = this.#board.checkLate(performance.now())
    for (const id of stalled) this.#lanes.get(id)?.stop.abort(new Error('the peer is silent'))
    for (const peer of late) this.#options.speeds.wasLate(peer)
    this.#schedule()
  }

  async #run(order: LaneOrder, lane: OpenLane): Promise<void> {
    const { speeds, turns } = this.#options
    const signal = AbortSignal.any([this.#signal, lane.stop.signal])
    let hasTurn = false
    speeds.began(order.peer)
    try {
      // Whoever waits for the consumer keeps nobody from their turn.
      if (!(await this.#mayGoOn(order, lane, order.segments[0] as number, signal))) {
        this.#board.givenBack(order.lane)
        return
      }
      this.#board.paused(order.lane)
      await turns.acquire(order.peer, signal)
      hasTurn = true
      this.#board.resumed(order.lane, performance.now())
      await this.#receive(order, lane, signal)
    } catch (error) {
      this.#onLost(order, lane, error)
    } finally {
      if (hasTurn) turns.release(order.peer)
      speeds.ended(order.peer)
      this.#lanes.delete(order.lane)
      lane.stop.abort(new Error('no more is needed'))
      this.#schedule()
    }
  }

  async #receive(order: LaneOrder, lane: OpenLane, signal: AbortSignal): Promise<void> {
    const { chunk, index, speeds, counts } = this.#options
    const peer = this.#peers.get(order.peer) as PeerId
    let iterator: AsyncIterator<{ segment: number; bytes: Uint8Array }> | undefined
    let isFirst = true
    try {
      for (const segment of order.segments) {
        if (!(await this.#mayGoOn(order, lane, segment, signal))) {
          this.#board.givenBack(order.lane)
          return
        }
        const askedMs = performance.now()
        if (iterator === undefined) {
          const pieces = chunk.fetch(peer, index, order.column, { segments: order.segments, signal })
          iterator = pieces[Symbol.asyncIterator]()
        }
        const next = await unlessAborted(iterator.next(), signal)
        if (next.done === true) throw new Error('the peer ended before the last piece')
        const elapsedMs = performance.now() - askedMs
        if (isFirst) speeds.answered(order.peer, elapsedMs)
        else speeds.received(order.peer, next.value.bytes.length, elapsedMs)
        isFirst = false
        counts.piece(order.peer, next.value.bytes.length)
        this.#onPiece(order, next.value)
        if (signal.aborted) return
      }
      // To its proper end: the stream carries the next fetch then.
      const patience = AbortSignal.any([signal, AbortSignal.timeout(LAST_WORD_MS)])
      if (iterator !== undefined) await unlessAborted(iterator.next(), patience).catch(() => {})
    } finally {
      // Not awaited: a generator that hangs in its next() never answers its return().
      iterator?.return?.().catch(() => {})
    }
  }

  /** Waits until the segment is within the horizon; false: it takes so long that the stream should be closed. */
  async #mayGoOn(order: LaneOrder, lane: OpenLane, segment: number, signal: AbortSignal): Promise<boolean> {
    if (segment <= this.#horizon) return true
    this.#board.paused(order.lane)
    const patience = AbortSignal.any([signal, AbortSignal.timeout(PAUSE_CLOSE_MS)])
    try {
      while (segment > this.#horizon) await lane.wakeup.wait(patience)
    } catch {
      signal.throwIfAborted()
      return false
    }
    this.#board.resumed(order.lane, performance.now())
    return true
  }

  #onPiece(order: LaneOrder, { segment, bytes }: { segment: number; bytes: Uint8Array }): void {
    const { isWanted, isComplete, close } = this.#board.piece(order.lane, segment, performance.now())
    const waiting = this.#waiting.get(segment)
    if (isWanted && waiting !== undefined) {
      waiting.pieces.set(order.column, bytes)
      if (isComplete) waiting.result.resolve(waiting.pieces)
    }
    for (const id of close) {
      const isOver = id === order.lane && segment === order.segments.at(-1)
      if (!isOver) this.#lanes.get(id)?.stop.abort(new Error('others were faster'))
      this.#lanes.delete(id)
    }
    if (close.length > 0) this.#schedule()
  }

  #onLost(order: LaneOrder, lane: OpenLane, error: unknown): void {
    // Closed by this side: nobody's fault.
    if (this.#signal.aborted || !this.#lanes.has(order.lane)) return
    const reason = reasonOf(error)
    this.#board.lost(order.lane, reason, performance.now())
    this.#options.counts.failure(order.peer)
    if (reason === 'invalid') this.#options.speeds.lied(order.peer)
    if (reason !== 'failed') this.#options.onMissing([order.column])
    else if (lane.stop.signal.aborted) this.#options.speeds.wasLate(order.peer)
  }
}

function reasonOf(error: unknown): LostReason {
  if (!(error instanceof P2pnodeError)) return 'failed'
  if (error.kind === 'verification') return 'invalid'
  return error.kind === 'not-found' ? 'missing' : 'failed'
}
