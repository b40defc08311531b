import type { Flow } from '../../../protocols/shared/bandwidth.ts'
import { Bucket } from './bucket.ts'
import {
  CYCLE_MS,
  MAX_PEER_BUCKETS,
  MAX_REMEMBERED_TURNS,
  MAX_SLEEP_MS,
  MIN_SLICE_BYTES,
  SLICE_MS,
} from './limits.ts'

/** Bytes a second; `Infinity` where there is no limit. */
export interface LaneRates {
  global: number
  perPeer: number
  protocols: Readonly<Partial<Record<Flow['protocol'], number>>>
}

interface Waiter {
  flow: Flow
  bytes: number
  sinceMs: number
  go: () => void
}

/** A peer's place in the line. */
interface Turn {
  waiting: Waiter[]
  /** Bytes that this peer has had, counted from the line's own count when it joined: the least comes first. */
  servedBytes: number
}

/**
 * One direction of the limiter: the two never wait for each other.
 *
 * Who waits is served by start-time fair queueing (Goyal, Vin and Cheng 1996): the peer that has had the least since it began
 * to want something comes first, whatever number of streams it has and whatever sizes it asks for. Who waits for a bucket of
 * their own, a peer's or a protocol's, keeps nobody else waiting.
 *
 * The number of waiters is bounded by the protocols' streams: each asks for one frame, or one grant, at a time.
 */
export class Lane {
  readonly #onWaited: (flow: Flow, waitedMs: number) => void
  readonly #peers = new Map<string, Bucket>()
  readonly #protocols = new Map<string, Bucket>()
  readonly #turns = new Map<string, Turn>()
  #rates: LaneRates
  #global: Bucket | undefined
  /** How much the peer had that was served last when its turn began. */
  #lineBytes = 0
  #waiters = 0
  #timer: NodeJS.Timeout | undefined
  /** When the timer fires. */
  #wakeMs = Infinity

  constructor(rates: LaneRates, onWaited: (flow: Flow, waitedMs: number) => void) {
    this.#onWaited = onWaited
    this.#rates = rates
    this.setRates(rates)
  }

  get waiters(): number {
    return this.#waiters
  }

  get peerBuckets(): number {
    return this.#peers.size
  }

  setRates(rates: LaneRates): void {
    const now = performance.now()
    this.#rates = rates
    this.#global = changed(this.#global, rates.global, now)
    for (const [protocol, rate] of Object.entries(rates.protocols)) {
      const bucket = changed(this.#protocols.get(protocol), rate, now)
      if (bucket === undefined) this.#protocols.delete(protocol)
      else this.#protocols.set(protocol, bucket)
    }
    for (const [peer, bucket] of this.#peers) {
      if (changed(bucket, rates.perPeer, now) === undefined) this.#peers.delete(peer)
    }
    if (this.#waiters > 0) this.#serve(now)
  }

  isLimited(flow: Flow): boolean {
    return (
      this.#global !== undefined || this.#rates.perPeer !== Infinity || this.#protocols.has(flow.protocol)
    )
  }

  take(flow: Flow, bytes: number, signal: AbortSignal): Promise<void> | undefined {
    if (!this.isLimited(flow)) return undefined
    if (signal.aborted) return Promise.reject(signal.reason as Error)
    const now = performance.now()
    // Those before first.
    if (this.#waiters > 0) this.#serve(now)
    if (this.#isOpen(flow, now)) {
      this.#spend(flow, bytes, this.#turnOf(flow.peer), now)
      return undefined
    }
    return this.#wait(flow, bytes, signal, now)
  }

  sliceBytes(flow: Flow): number {
    if (!this.isLimited(flow)) return Infinity
    const sharers = [...this.#turns.values()].filter(({ waiting }) => waiting.length > 0).length
    const sharedMs = Math.min(SLICE_MS, CYCLE_MS / Math.max(1, sharers))
    const shared = Math.min(
      this.#rates.global,
      this.#protocols.get(flow.protocol)?.bytesPerSecond ?? Infinity,
    )
    const most = Math.min((shared * sharedMs) / 1000, (this.#rates.perPeer * SLICE_MS) / 1000)
    return Math.max(MIN_SLICE_BYTES, Math.floor(most))
  }

  /** Nobody is woken any more; who still waits is ended by their own signals. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#wakeMs = Infinity
  }

  #wait(flow: Flow, bytes: number, signal: AbortSignal, now: number): Promise<void> {
    const turn = this.#turnOf(flow.peer)
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        signal.removeEventListener('abort', onAbort)
        turn.waiting.splice(turn.waiting.indexOf(waiter), 1)
        this.#waiters -= 1
      }
      const onAbort = (): void => {
        leave()
        reject(signal.reason as Error)
      }
      const go = (): void => {
        leave()
        resolve()
      }
      const waiter: Waiter = { flow, bytes, sinceMs: now, go }
      turn.waiting.push(waiter)
      this.#waiters += 1
      signal.addEventListener('abort', onAbort, { once: true })
      this.#sleep(now, this.#openInMs(flow, now))
    })
  }

  /** Lets everybody go whose buckets are open, those first who have had the least. */
  #serve(now: number): void {
    for (let next = this.#next(now); next !== undefined; next = this.#next(now)) {
      const { turn, waiter } = next
      this.#spend(waiter.flow, waiter.bytes, turn, now)
      this.#onWaited(waiter.flow, now - waiter.sinceMs)
      waiter.go()
    }
    this.#forgetTurns()
    this.stop()
    let leastMs = Infinity
    for (const { waiting } of this.#turns.values()) {
      for (const { flow } of waiting) leastMs = Math.min(leastMs, this.#openInMs(flow, now))
    }
    if (leastMs < Infinity) this.#sleep(now, leastMs)
  }

  #next(now: number): { turn: Turn; waiter: Waiter } | undefined {
    let first: { turn: Turn; waiter: Waiter } | undefined
    for (const turn of this.#turns.values()) {
      if (first !== undefined && turn.servedBytes >= first.turn.servedBytes) continue
      const waiter = turn.waiting.find(({ flow }) => this.#isOpen(flow, now))
      if (waiter !== undefined) first = { turn, waiter }
    }
    return first
  }

  #sleep(now: number, ms: number): void {
    const sleepMs = Math.max(1, Math.min(ms, MAX_SLEEP_MS))
    if (this.#wakeMs <= now + sleepMs) return
    this.stop()
    this.#wakeMs = now + sleepMs
    this.#timer = setTimeout(() => this.#serve(performance.now()), sleepMs)
    this.#timer.unref()
  }

  #spend(flow: Flow, bytes: number, turn: Turn, now: number): void {
    this.#global?.spend(bytes)
    this.#protocols.get(flow.protocol)?.spend(bytes)
    this.#peerBucket(flow.peer, now)?.spend(bytes)
    this.#lineBytes = Math.max(this.#lineBytes, turn.servedBytes)
    turn.servedBytes += bytes
  }

  #isOpen(flow: Flow, now: number): boolean {
    return (
      (this.#global?.isOpen(now) ?? true) &&
      (this.#protocols.get(flow.protocol)?.isOpen(now) ?? true) &&
      (this.#peers.get(flow.peer)?.isOpen(now) ?? true)
    )
  }

  #openInMs(flow: Flow, now: number): number {
    return Math.max(
      this.#global?.openInMs(now) ?? 0,
      this.#protocols.get(flow.protocol)?.openInMs(now) ?? 0,
      this.#peers.get(flow.peer)?.openInMs(now) ?? 0,
    )
  }

  #peerBucket(peer: string, now: number): Bucket | undefined {
    if (this.#rates.perPeer === Infinity) return undefined
    let bucket = this.#peers.get(peer)
    if (bucket === undefined) {
      if (this.#peers.size >= MAX_PEER_BUCKETS) this.#makeRoom(now)
      bucket = new Bucket(this.#rates.perPeer, now)
      this.#peers.set(peer, bucket)
    }
    return bucket
  }

  #makeRoom(now: number): void {
    for (const [peer, bucket] of this.#peers) if (bucket.isFull(now)) this.#peers.delete(peer)
    if (this.#peers.size < MAX_PEER_BUCKETS) return
    // The oldest sixteenth at once, so that a crowd of strangers does not have everybody looked at for each of them.
    for (const peer of [...this.#peers.keys()].slice(0, MAX_PEER_BUCKETS / 16)) this.#peers.delete(peer)
  }

  /** A peer joins where the line is: having been away saves nothing up. */
  #turnOf(peer: string): Turn {
    let turn = this.#turns.get(peer)
    if (turn === undefined) {
      if (this.#turns.size >= MAX_REMEMBERED_TURNS) this.#forgetTurns()
      turn = { waiting: [], servedBytes: this.#lineBytes }
      this.#turns.set(peer, turn)
    } else if (turn.waiting.length === 0) {
      turn.servedBytes = Math.max(turn.servedBytes, this.#lineBytes)
    }
    return turn
  }

  #forgetTurns(): void {
    const isOver = this.#turns.size >= MAX_REMEMBERED_TURNS
    for (const [peer, turn] of this.#turns) {
      if (turn.waiting.length === 0 && (isOver || turn.servedBytes <= this.#lineBytes)) {
        this.#turns.delete(peer)
      }
    }
  }
}

function changed(bucket: Bucket | undefined, rate: number, now: number): Bucket | undefined {
  if (rate === Infinity) return undefined
  if (bucket === undefined) return new Bucket(rate, now)
  if (bucket.bytesPerSecond !== rate) bucket.setRate(rate, now)
  return bucket
}
