import { MAX_SILENCE_MS, MAX_SILENT_PEERS } from './limits.ts'

/**
 * Peers that could not be reached a while ago: a walk over thousands of groups meets each of them again and again, and a
 * dial that comes to nothing takes seconds.
 */
export class SilentPeers {
  readonly #restMs: number
  readonly #monotonicMs: () => number
  readonly #until = new Map<string, number>()

  constructor(restMs: number, monotonicMs: () => number = () => performance.now()) {
    this.#restMs = Math.min(restMs, MAX_SILENCE_MS)
    this.#monotonicMs = monotonicMs
  }

  isSilent(peer: string): boolean {
    return (this.#until.get(peer) ?? 0) > this.#monotonicMs()
  }

  failed(peer: string): void {
    this.#until.delete(peer)
    const [oldest] = this.#until.keys()
    if (this.#until.size >= MAX_SILENT_PEERS && oldest !== undefined) this.#until.delete(oldest)
    this.#until.set(peer, this.#monotonicMs() + this.#restMs)
  }

  answered(peer: string): void {
    this.#until.delete(peer)
  }
}
