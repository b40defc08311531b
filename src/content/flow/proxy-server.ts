import type { CID } from 'multiformats/cid'
import { forgetOldest } from '../../../protocols/shared/forget-oldest.ts'
import { matches } from '../../../protocols/content/hash.ts'
import type { ProxyServer } from '../../../protocols/content/types.ts'
import type { Policy } from '../../trust/contract.ts'
import { MAX_COUNTED_PEERS, QUOTA_WINDOW_MS } from './limits.ts'
import { overlap } from './overlap.ts'
import type { Step } from './types.ts'

export interface ProxyQuota {
  /** Blocks asked for, a day. */
  requests: number
  /** Bytes sent, a day. */
  bytes: number
}

export interface ProxyServerOptions {
  /** Of this node's own, those that lead to IPFS; never the step that asks another proxy, so that no request goes in a circle. */
  steps: () => readonly Step[]
  /** Says who is trusted enough (`trust.thresholds.proxy`). */
  trust: Policy
  perPeer: ProxyQuota
  inAll: ProxyQuota
  /** Milliseconds that only go forward; tests pass their own. */
  now?: () => number
}

interface Use extends ProxyQuota {
  sinceMs: number
}

/**
 * Fetches blocks from IPFS for peers, as far as the policy and their quotas allow. What was fetched goes through and is not
 * kept: the peer that wanted it has it. Quotas begin anew a day after the first request, and when the node starts.
 */
export class ProxyService implements ProxyServer {
  readonly #options: ProxyServerOptions
  readonly #now: () => number
  /** The peer that asked longest ago first. */
  readonly #uses = new Map<string, Use>()
  #whole: Use
  /** The step that brought the last block is asked first. */
  #lead: Step | undefined

  constructor(options: ProxyServerOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#whole = this.#unused()
  }

  /** Counts the request where it is admitted. */
  admits(peer: string, cid: CID): boolean {
    const { steps, trust, perPeer, inAll } = this.#options
    if (steps().length === 0) return false
    if (!trust.decide(peer, 'proxy', { cid: cid.toString() }).allowed) return false
    const use = this.#useOf(peer)
    this.#whole = this.#current(this.#whole)
    if (!hasLeft(use, perPeer) || !hasLeft(this.#whole, inAll)) return false
    use.requests += 1
    this.#whole.requests += 1
    return true
  }

  async fetch(
    peer: string,
    cid: CID,
    { root, signal }: { root: CID; signal: AbortSignal },
  ): Promise<Uint8Array | undefined> {
    const steps = this.#options.steps()
    const lead = this.#lead
    const order = lead === undefined ? steps : [lead, ...steps.filter((step) => step !== lead)]
    const attempts = order.map((step) => ({
      headStartMs: step.headStartMs,
      run: (own: AbortSignal) => this.#ask(step, cid, root, own),
    }))
    const bytes = await overlap(attempts, signal)
    if (bytes === undefined) return undefined
    this.#useOf(peer).bytes += bytes.length
    this.#whole.bytes += bytes.length
    return bytes
  }

  async #ask(step: Step, cid: CID, root: CID, signal: AbortSignal): Promise<Uint8Array> {
    const run = step.open({ dag: cid, providersOf: root, scope: 'block' })
    try {
      const { bytes } = await run.fetch(cid, { signal })
      if (!matches(cid, bytes)) throw new Error('wrong bytes')
      this.#lead = step
      return bytes
    } finally {
      run.close()
    }
  }

  #useOf(peer: string): Use {
    const use = this.#current(this.#uses.get(peer) ?? this.#unused())
    this.#uses.delete(peer)
    forgetOldest(this.#uses, MAX_COUNTED_PEERS)
    this.#uses.set(peer, use)
    return use
  }

  #current(use: Use): Use {
    return this.#now() - use.sinceMs < QUOTA_WINDOW_MS ? use : this.#unused()
  }

  #unused(): Use {
    return { requests: 0, bytes: 0, sinceMs: this.#now() }
  }
}

function hasLeft(use: ProxyQuota, quota: ProxyQuota): boolean {
  return use.requests < quota.requests && use.bytes < quota.bytes
}
