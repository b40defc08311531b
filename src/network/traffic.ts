/** What was moved counts half after so long: what a peer did an hour ago says little about what it is good for now. */
const HALF_LIFE_MS = 10 * 60_000
/** A pause in a transfer: a disk that is busy, a turn that is waited for. */
const MOVING_MS = 30_000
/** Peers that are counted; more are not. Forgotten with their connections, of which an operator allows 10 000 at most. */
const MAX_PEERS = 10_000

interface Counted {
  latelyBytes: number
  atMs: number
}

/** Data that connected peers and this node have exchanged lately, for the choice of which to keep. */
export class PeerTraffic {
  readonly #peers = new Map<string, Counted>()

  moved(peer: string, bytes: number): void {
    const now = performance.now()
    const counted = this.#peers.get(peer)
    if (counted !== undefined) {
      counted.latelyBytes = faded(counted, now) + bytes
      counted.atMs = now
    } else if (this.#peers.size < MAX_PEERS) this.#peers.set(peer, { latelyBytes: bytes, atMs: now })
  }

  /** Bytes, older ones counting less. */
  lately(peer: string): number {
    const counted = this.#peers.get(peer)
    return counted === undefined ? 0 : faded(counted, performance.now())
  }

  /** Whether a transfer with the peer is under way. */
  isMoving(peer: string): boolean {
    const counted = this.#peers.get(peer)
    return counted !== undefined && performance.now() - counted.atMs < MOVING_MS
  }

  forget(peer: string): void {
    this.#peers.delete(peer)
  }
}

function faded({ latelyBytes, atMs }: Counted, now: number): number {
  return latelyBytes * 0.5 ** ((now - atMs) / HALF_LIFE_MS)
}
