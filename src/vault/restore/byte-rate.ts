import { setTimeout as sleep } from 'node:timers/promises'

/** What may run ahead of the rate after a silence: a piece is never torn, so this is one segment. */
const BURST_SECONDS = 0.1

/** A rate of bytes that several works share: each takes what it moves and waits for its turn. */
export class ByteRate {
  readonly #monotonicMs: () => number
  #freeAtMs = 0

  constructor(monotonicMs: () => number = () => performance.now()) {
    this.#monotonicMs = monotonicMs
  }

  /** Resolves when the bytes may move. @throws the signal's reason */
  async take(bytes: number, bytesPerSecond: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (!Number.isFinite(bytesPerSecond)) return
    const waitMs = this.reserve(bytes, bytesPerSecond)
    if (waitMs > 0) await sleep(waitMs, undefined, { signal })
  }

  /** Books the bytes and says how long to wait before they move. */
  reserve(bytes: number, bytesPerSecond: number): number {
    const nowMs = this.#monotonicMs()
    const startMs = Math.max(this.#freeAtMs, nowMs - BURST_SECONDS * 1_000)
    this.#freeAtMs = startMs + (bytes / bytesPerSecond) * 1_000
    return Math.max(0, startMs - nowMs)
  }
}
