import { type SlabId } from '../../../protocols/chunk/types.ts'
import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import { MAX_CLAIM_MS, MAX_CLAIMS, MAX_CLAIMS_PER_PEER } from './limits.ts'

interface Claim {
  peer: string
  untilMs: number
}

/**
 * Who may repair which column now, as far as this node is asked. In memory only: a claim that is lost with a restart costs
 * a column rebuilt twice, which is trimmed, and nothing more.
 */
export class ClaimTable {
  readonly #claims = new Map<string, Claim>()
  readonly #perPeer = new Map<string, number>()
  readonly #monotonicMs: () => number

  constructor(monotonicMs: () => number = () => performance.now()) {
    this.#monotonicMs = monotonicMs
  }

  get size(): number {
    return this.#claims.size
  }

  /** True: the peer has the column now, until `ttlMs` from now. Whoever has it may claim it again. */
  claim(slab: SlabId, column: number, ttlMs: number, peer: string): boolean {
    if (!(ttlMs > 0)) return false
    const nowMs = this.#monotonicMs()
    const key = `${slabKeyOf(slab)}/${column}`
    const known = this.#claims.get(key)
    if (known !== undefined && known.untilMs > nowMs && known.peer !== peer) return false
    if (known !== undefined) this.#forget(key, known)
    if (this.#claims.size >= MAX_CLAIMS || this.#ofPeer(peer) >= MAX_CLAIMS_PER_PEER)
      this.#forgetExpired(nowMs)
    if (this.#claims.size >= MAX_CLAIMS || this.#ofPeer(peer) >= MAX_CLAIMS_PER_PEER) return false
    this.#claims.set(key, { peer, untilMs: nowMs + Math.min(ttlMs, MAX_CLAIM_MS) })
    this.#perPeer.set(peer, this.#ofPeer(peer) + 1)
    return true
  }

  #ofPeer(peer: string): number {
    return this.#perPeer.get(peer) ?? 0
  }

  #forget(key: string, { peer }: Claim): void {
    this.#claims.delete(key)
    const left = this.#ofPeer(peer) - 1
    if (left <= 0) this.#perPeer.delete(peer)
    else this.#perPeer.set(peer, left)
  }

  #forgetExpired(nowMs: number): void {
    for (const [key, claim] of this.#claims) {
      if (claim.untilMs <= nowMs) this.#forget(key, claim)
    }
  }
}
