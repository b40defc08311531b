import {
  ALL_LATE_MS,
  COPY_BATCH_SEGMENTS,
  LATE_FACTOR,
  MAX_ATTEMPTS,
  MAX_COPY_LANES,
  MAX_HOLDERS_PER_SLAB,
  MAX_RACERS,
  MIN_LATE_MS,
  PARITY_FACTOR,
  RETRY_AFTER_MS,
  STALLED_MS,
} from './limits.ts'

/** Open a stream to the peer for these segments of its column. */
export interface LaneOrder {
  lane: number
  peer: string
  column: number
  segments: number[]
}

/**
 * Why a lane ended before its last segment: `missing`, the peer has it not; `invalid`, it sent wrong bytes; `failed`,
 * anything that may be better another time.
 */
export type LostReason = 'missing' | 'invalid' | 'failed'

export interface BoardOptions {
  k: number
  /** Ascending. */
  segments: readonly number[]
  /** How long one piece of the slab should take from this peer. */
  expectedMs: (peer: string) => number
  /** What it costs to ask this peer, for the choice among several: lower is better. */
  costMs: (peer: string) => number
}

interface Holder {
  peer: string
  column: number
  attempts: number
  /** Not to be asked before this time. */
  readyAtMs: number
  isGone: boolean
  lane: Lane | undefined
}

interface Lane {
  id: number
  holder: Holder
  /** What is still to come, in order. */
  remaining: number[]
  /** When it last gave something, or had begun; undefined while it waits for the consumer. */
  progressMs: number | undefined
  isLate: boolean
  /** The late lane that this one was called in for. */
  backs: Lane | undefined
}

interface Segment {
  received: Set<number>
  isComplete: boolean
}

/**
 * Who is asked for which piece of one slab: decisions only, neither clock nor network. A *lane* is one stream from one
 * holder, with pieces of its column in order.
 *
 * Each segment needs k pieces of different columns. What nobody is on is given to the best holder that is idle; a lane
 * that is late counts as nobody, so that another is called in, and whichever of the two gives a piece first stays.
 */
export class SegmentBoard {
  readonly #k: number
  readonly #expectedMs: (peer: string) => number
  readonly #costMs: (peer: string) => number
  readonly #segments = new Map<number, Segment>()
  readonly #holders = new Map<string, Holder>()
  readonly #lanes = new Map<number, Lane>()
  #nextLane = 0
  #incomplete: number

  constructor({ k, segments, expectedMs, costMs }: BoardOptions) {
    this.#k = k
    this.#expectedMs = expectedMs
    this.#costMs = costMs
    for (const segment of segments) this.#segments.set(segment, { received: new Set(), isComplete: false })
    this.#incomplete = segments.length
  }

  get isComplete(): boolean {
    return this.#incomplete === 0
  }

  get lanes(): number {
    return this.#lanes.size
  }

  /** Columns that may still be had, or have been. */
  get columns(): number {
    return new Set([...this.#holders.values()].filter((holder) => !holder.isGone).map(({ column }) => column))
      .size
  }

  /** A peer says to hold the column. False: it was known, or there are too many. */
  offer(peer: string, column: number): boolean {
    if (this.#holders.has(peer) || this.#holders.size >= MAX_HOLDERS_PER_SLAB) return false
    this.#holders.set(peer, { peer, column, attempts: 0, readyAtMs: 0, isGone: false, lane: undefined })
    return true
  }

  /** Gives a holder that was found again another chance, unless it lied or has not what it said. */
  renewed(peer: string): void {
    const holder = this.#holders.get(peer)
    if (holder === undefined || holder.lane !== undefined || holder.attempts < MAX_ATTEMPTS) return
    holder.attempts = 0
    holder.isGone = false
  }

  /**
   * Lanes to open now.
   *
   * @param horizon the last segment that is wanted soon; copies are not asked for beyond it
   */
  orders(nowMs: number, horizon: number): LaneOrder[] {
    const orders: LaneOrder[] = []
    for (;;) {
      const order = this.#order(nowMs, horizon)
      if (order === undefined) return orders
      orders.push(order)
    }
  }

  /** A piece came. `isWanted`: it is to be kept. `close`: lanes that are not needed any more. */
  piece(
    laneId: number,
    number: number,
    nowMs: number,
  ): { isWanted: boolean; isComplete: boolean; close: number[] } {
    const lane = this.#lanes.get(laneId)
    const segment = this.#segments.get(number)
    if (lane === undefined || segment === undefined) return { isWanted: false, isComplete: false, close: [] }
    const at = lane.remaining.indexOf(number)
    if (at >= 0) lane.remaining.splice(0, at + 1)
    lane.progressMs = nowMs
    const isWanted = !segment.isComplete && !segment.received.has(lane.holder.column)
    if (isWanted) {
      segment.received.add(lane.holder.column)
      if (segment.received.size >= this.#k) {
        segment.isComplete = true
        this.#incomplete -= 1
      }
    }
    const close = this.#settleRaces(lane, number, isWanted)
    for (const other of this.#lanes.values()) {
      if (!other.remaining.some((number) => !this.#isComplete(number))) close.push(this.#end(other))
    }
    return { isWanted, isComplete: isWanted && segment.isComplete, close }
  }

  /** The lane ended. What it had still to give is open again. */
  lost(laneId: number, reason: LostReason, nowMs: number): void {
    const lane = this.#lanes.get(laneId)
    if (lane === undefined) return
    this.#end(lane)
    const { holder } = lane
    holder.attempts += 1
    holder.readyAtMs = nowMs + RETRY_AFTER_MS
    if (reason === 'failed') holder.isGone = holder.attempts >= MAX_ATTEMPTS
    else {
      holder.isGone = true
      // Never renewed.
      holder.attempts = Number.NEGATIVE_INFINITY
    }
  }

  /** The lane was closed because the consumer is slow; nobody's fault. */
  givenBack(laneId: number): void {
    const lane = this.#lanes.get(laneId)
    if (lane !== undefined) this.#end(lane)
  }

  /** The consumer lets the lane wait, or go on. */
  paused(laneId: number): void {
    const lane = this.#lanes.get(laneId)
    if (lane !== undefined) lane.progressMs = undefined
  }

  resumed(laneId: number, nowMs: number): void {
    const lane = this.#lanes.get(laneId)
    if (lane !== undefined) lane.progressMs ??= nowMs
  }

  /**
   * Looks for lanes that are late; `orders` then calls others in. Gives those that are to be given up: they have been
   * silent for too long.
   */
  checkLate(nowMs: number): { late: string[]; stalled: number[] } {
    const late: string[] = []
    const stalled: number[] = []
    const waiting = [...this.#lanes.values()].filter((lane) => lane.progressMs !== undefined)
    const newestMs = Math.max(...waiting.map((lane) => lane.progressMs as number))
    for (const lane of waiting) {
      const progressMs = lane.progressMs as number
      const silentMs = nowMs - progressMs
      if (silentMs >= STALLED_MS) stalled.push(lane.id)
      if (lane.isLate) continue
      const allowedMs = Math.max(MIN_LATE_MS, LATE_FACTOR * this.#expectedMs(lane.holder.peer))
      const othersGoOn = newestMs - progressMs >= MIN_LATE_MS
      if (silentMs < (othersGoOn || waiting.length === 1 ? allowedMs : Math.max(allowedMs, ALL_LATE_MS)))
        continue
      lane.isLate = true
      late.push(lane.holder.peer)
    }
    return { late, stalled }
  }

  /** Whether the segment cannot be had from those that are known, and how many pieces of it can. */
  outlook(number: number): { isHopeless: boolean; pieces: number } {
    const segment = this.#segments.get(number)
    if (segment === undefined || segment.isComplete) return { isHopeless: false, pieces: this.#k }
    const columns = new Set(segment.received)
    for (const holder of this.#holders.values()) if (!holder.isGone) columns.add(holder.column)
    return { isHopeless: columns.size < this.#k, pieces: columns.size }
  }

  /** When a holder that failed may be asked again; undefined where nothing of the sort is due. */
  retryAtMs(nowMs: number): number | undefined {
    const times = [...this.#holders.values()]
      .filter((holder) => !holder.isGone && holder.lane === undefined && holder.readyAtMs > nowMs)
      .map((holder) => holder.readyAtMs)
    return times.length === 0 ? undefined : Math.min(...times)
  }

  #order(nowMs: number, horizon: number): LaneOrder | undefined {
    const idle = [...this.#holders.values()]
      .filter((holder) => !holder.isGone && holder.lane === undefined && holder.readyAtMs <= nowMs)
      .sort((one, other) => this.#cost(one) - this.#cost(other))
    if (idle.length === 0 || (this.#k === 1 && this.#healthyLanes() >= MAX_COPY_LANES)) return undefined
    const open = [...this.#segments.keys()].filter(
      (number) => (this.#k > 1 || number <= horizon) && this.#deficit(number) > 0,
    )
    for (const number of open) {
      const holder = idle.find((holder) => this.#canGive(holder, number))
      if (holder !== undefined) return this.#begin(holder, open, number, idle.length, nowMs)
    }
    return undefined
  }

  #begin(holder: Holder, open: number[], first: number, idle: number, nowMs: number): LaneOrder {
    let segments = open.filter((number) => number >= first && this.#canGive(holder, number))
    if (this.#k === 1) {
      // Copies: neighbouring segments from different holders, so that the next ones of the stream come side by side.
      const stride = Math.min(idle, MAX_COPY_LANES - this.#healthyLanes())
      segments = segments.filter((_, at) => at % stride === 0).slice(0, COPY_BATCH_SEGMENTS)
    }
    const lane: Lane = {
      id: this.#nextLane,
      holder,
      remaining: [...segments],
      progressMs: nowMs,
      isLate: false,
      backs: this.#unbackedLate(first),
    }
    this.#nextLane += 1
    holder.lane = lane
    this.#lanes.set(lane.id, lane)
    return { lane: lane.id, peer: holder.peer, column: holder.column, segments }
  }

  /** Lower is better. */
  #cost({ peer, column }: Holder): number {
    return this.#costMs(peer) * (column < this.#k ? 1 : PARITY_FACTOR)
  }

  #healthyLanes(): number {
    return [...this.#lanes.values()].filter((lane) => !lane.isLate).length
  }

  /** Pieces of the segment that nobody is on. */
  #deficit(number: number): number {
    const { received, isComplete } = this.#segments.get(number) as Segment
    if (isComplete) return 0
    const columns = new Set(received)
    let racers = 0
    for (const lane of this.#lanes.values()) {
      if (!lane.remaining.includes(number)) continue
      if (lane.isLate) racers += 1
      else columns.add(lane.holder.column)
    }
    // Every late one calls in one other, and that one at most another.
    if (racers >= this.#k * (MAX_RACERS - 1) && racers > 0) return 0
    return this.#k - columns.size
  }

  #canGive(holder: Holder, number: number): boolean {
    const { received, isComplete } = this.#segments.get(number) as Segment
    if (isComplete || received.has(holder.column) || this.#deficit(number) <= 0) return false
    for (const lane of this.#lanes.values()) {
      if (!lane.isLate && lane.holder.column === holder.column && lane.remaining.includes(number))
        return false
    }
    return true
  }

  #unbackedLate(number: number): Lane | undefined {
    const backed = new Set([...this.#lanes.values()].map(({ backs }) => backs))
    return [...this.#lanes.values()].find(
      (lane) => lane.isLate && lane.remaining.includes(number) && !backed.has(lane),
    )
  }

  /** Of a late lane and the one called in for it, whichever gives the next piece first stays. */
  #settleRaces(lane: Lane, number: number, isWanted: boolean): number[] {
    const close: number[] = []
    const { backs } = lane
    lane.backs = undefined
    if (backs?.isLate === true && backs.remaining.includes(number)) {
      backs.holder.readyAtMs = (lane.progressMs ?? 0) + RETRY_AFTER_MS
      close.push(this.#end(backs))
    }
    if (!lane.isLate) return close
    lane.isLate = false
    // It goes on where its piece was still of use; then those called in last are not needed any more.
    const candidates = isWanted
      ? [...this.#lanes.values()].reverse().filter((other) => other !== lane)
      : [lane]
    for (const other of candidates) if (!other.isLate && this.#isSurplus(other)) close.push(this.#end(other))
    return close
  }

  /** Whether others are on everything that the lane has still to give. */
  #isSurplus(lane: Lane): boolean {
    return lane.remaining.every((number) => {
      const { received, isComplete } = this.#segments.get(number) as Segment
      if (isComplete) return true
      const columns = new Set(received)
      for (const other of this.#lanes.values()) {
        if (other !== lane && !other.isLate && other.remaining.includes(number))
          columns.add(other.holder.column)
      }
      return columns.size >= this.#k
    })
  }

  #isComplete(number: number): boolean {
    return this.#segments.get(number)?.isComplete ?? true
  }

  #end(lane: Lane): number {
    this.#lanes.delete(lane.id)
    lane.holder.lane = undefined
    for (const other of this.#lanes.values()) if (other.backs === lane) other.backs = undefined
    return lane.id
  }
}
