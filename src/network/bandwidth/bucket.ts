import { BURST_MS } from './limits.ts'

/**
 * A token bucket, in bytes. Whoever finds a token takes what they need, into debt where it is more: amounts are small
 * against the rate, and so nobody waits for the bucket to be fuller than others leave it.
 */
export class Bucket {
  #bytesPerSecond: number
  #tokens: number
  #filledMs: number

  /** Full at the beginning. `nowMs` is of the clock that every call is given. */
  constructor(bytesPerSecond: number, nowMs: number) {
    this.#bytesPerSecond = bytesPerSecond
    this.#tokens = this.#capacity
    this.#filledMs = nowMs
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond
  }

  /** Changes the rate. What is owed stays owed. */
  setRate(bytesPerSecond: number, nowMs: number): void {
    this.#fill(nowMs)
    this.#bytesPerSecond = bytesPerSecond
    this.#tokens = Math.min(this.#tokens, this.#capacity)
  }

  isOpen(nowMs: number): boolean {
    this.#fill(nowMs)
    return this.#tokens > 0
  }

  isFull(nowMs: number): boolean {
    this.#fill(nowMs)
    return this.#tokens >= this.#capacity
  }

  spend(bytes: number): void {
    this.#tokens -= bytes
  }

  /** Milliseconds until it is open, 0 where it is. */
  openInMs(nowMs: number): number {
    if (this.isOpen(nowMs)) return 0
    return Math.ceil(((1 - this.#tokens) * 1000) / this.#bytesPerSecond)
  }

  get #capacity(): number {
    return (this.#bytesPerSecond * BURST_MS) / 1000
  }

  #fill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#filledMs)
    this.#filledMs = nowMs
    this.#tokens = Math.min(this.#capacity, this.#tokens + (elapsedMs * this.#bytesPerSecond) / 1000)
  }
}
