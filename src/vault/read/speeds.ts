import { LRUCache } from 'lru-cache'
import {
  ASSUMED_BYTES_PER_MS,
  ASSUMED_LATENCY_MS,
  AVOID_LIAR_MS,
  LANE_COST,
  MAX_KNOWN_SPEEDS,
  SPEED_WEIGHT,
} from './limits.ts'

interface Speed {
  latencyMs: number
  bytesPerMs: number
  avoidUntilMs: number
}

/** Pieces that wait in a buffer arrive at once; nothing is faster than this. */
const MIN_MEASURED_MS = 0.2

/** How fast peers have been, over all reads of this node: decides who is asked, and when somebody is late. */
export class PeerSpeeds {
  readonly #speeds = new LRUCache<string, Speed>({ max: MAX_KNOWN_SPEEDS })
  /** Streams that are open to each peer. */
  readonly #lanes = new Map<string, number>()
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** The first bytes of an answer came after so long. */
  answered(peer: string, elapsedMs: number): void {
    const speed = this.#of(peer)
    speed.latencyMs += SPEED_WEIGHT * (elapsedMs - speed.latencyMs)
  }

  /** A piece came so long after the one before it. */
  received(peer: string, bytes: number, elapsedMs: number): void {
    const speed = this.#of(peer)
    // Times, not rates, are averaged: one pause must not be outweighed by one burst.
    const msPerByte = 1 / speed.bytesPerMs
    const measured = Math.max(MIN_MEASURED_MS, elapsedMs) / Math.max(1, bytes)
    speed.bytesPerMs = 1 / (msPerByte + SPEED_WEIGHT * (measured - msPerByte))
  }

  /** It was overtaken by another: it counts as half as fast as it was thought to be. */
  wasLate(peer: string): void {
    const speed = this.#of(peer)
    speed.latencyMs *= 2
    speed.bytesPerMs /= 2
  }

  lied(peer: string): void {
    this.#of(peer).avoidUntilMs = this.#now() + AVOID_LIAR_MS
  }

  isAvoided(peer: string): boolean {
    return (this.#speeds.peek(peer)?.avoidUntilMs ?? 0) > this.#now()
  }

  /** How long an answer of so many bytes should take. */
  expectedMs(peer: string, bytes: number): number {
    const { latencyMs, bytesPerMs } = this.#speeds.peek(peer) ?? UNKNOWN
    return latencyMs + bytes / bytesPerMs
  }

  /** The same with what this node gets from the peer already: who is busy with one reader leaves less for the next. */
  costMs(peer: string, bytes: number): number {
    return this.expectedMs(peer, bytes) * (1 + LANE_COST * (this.#lanes.get(peer) ?? 0))
  }

  began(peer: string): void {
    this.#lanes.set(peer, (this.#lanes.get(peer) ?? 0) + 1)
  }

  ended(peer: string): void {
    const left = (this.#lanes.get(peer) ?? 0) - 1
    if (left > 0) this.#lanes.set(peer, left)
    else this.#lanes.delete(peer)
  }

  #of(peer: string): Speed {
    let speed = this.#speeds.get(peer)
    if (speed === undefined) {
      speed = { ...UNKNOWN }
      this.#speeds.set(peer, speed)
    }
    return speed
  }
}

const UNKNOWN: Speed = { latencyMs: ASSUMED_LATENCY_MS, bytesPerMs: ASSUMED_BYTES_PER_MS, avoidUntilMs: 0 }
