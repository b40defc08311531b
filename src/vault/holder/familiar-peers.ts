import { MAX_FAMILIAR_PEERS, TICK_MS } from './limits.ts'

interface Familiar {
  connectedMs: number
  isProven: boolean
}

export interface FamiliarPeersOptions {
  /** Who is connected now and speaks the protocol. */
  connected: () => readonly string[]
  /** So long in all a peer must have been connected. */
  afterMs: number
  monotonicMs?: () => number
}

/**
 * Which of the connected peers are any measure of what this node usually sees: those that proved a column to it, and those
 * that were connected for an interval in all. Not whoever comes and goes: peer ids cost nothing.
 */
export class FamiliarPeers {
  readonly #options: Required<FamiliarPeersOptions>
  readonly #peers = new Map<string, Familiar>()
  #lookedAtMs: number

  constructor(options: FamiliarPeersOptions) {
    this.#options = { monotonicMs: () => performance.now(), ...options }
    this.#lookedAtMs = this.#options.monotonicMs()
  }

  /** The peer has just proven a column of the slabs that this node looks after. */
  proven(peer: string): void {
    this.#entry(peer).isProven = true
    this.#makeRoom()
  }

  /** Counts the time since the last look for whoever is connected. Returns how many familiar peers are; once a second. */
  look(): number {
    const { connected, afterMs, monotonicMs } = this.#options
    const nowMs = monotonicMs()
    // Asleep nobody was seen.
    const passedMs = Math.min(Math.max(0, nowMs - this.#lookedAtMs), 2 * TICK_MS)
    this.#lookedAtMs = nowMs
    let count = 0
    for (const peer of connected()) {
      const entry = this.#entry(peer)
      entry.connectedMs += passedMs
      if (entry.isProven || entry.connectedMs >= afterMs) count += 1
    }
    this.#makeRoom()
    return count
  }

  #entry(peer: string): Familiar {
    const known = this.#peers.get(peer)
    if (known !== undefined) return known
    const added = { connectedMs: 0, isProven: false }
    this.#peers.set(peer, added)
    return added
  }

  /** Those that were there for the shortest go: strangers that come and go push out each other. */
  #makeRoom(): void {
    if (this.#peers.size <= MAX_FAMILIAR_PEERS) return
    const longest = [...this.#peers].sort(
      ([, a], [, b]) => Number(b.isProven) - Number(a.isProven) || b.connectedMs - a.connectedMs,
    )
    for (const [peer] of longest.slice(MAX_FAMILIAR_PEERS / 2)) this.#peers.delete(peer)
  }
}
