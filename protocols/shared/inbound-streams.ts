/** Counts streams that are being answered, bounded for each peer and, where `total` is given, for all together. */
export class InboundStreams {
  readonly #perPeer: number
  readonly #total: number
  readonly #open = new Map<string, number>()
  #all = 0

  constructor({ perPeer, total = Number.POSITIVE_INFINITY }: { perPeer: number; total?: number }) {
    this.#perPeer = perPeer
    this.#total = total
  }

  /**
   * Room for one more stream of a peer: what gives it back, to be called once. Or whose bound is in the way: the peer's own,
   * or that of this node, which is not the peer's doing.
   */
  take(peer: string): (() => void) | 'peer' | 'total' {
    const open = this.#open.get(peer) ?? 0
    if (open >= this.#perPeer) return 'peer'
    if (this.#all >= this.#total) return 'total'
    this.#open.set(peer, open + 1)
    this.#all += 1
    return () => {
      const left = (this.#open.get(peer) ?? 1) - 1
      if (left === 0) this.#open.delete(peer)
      else this.#open.set(peer, left)
      this.#all -= 1
    }
  }
}
