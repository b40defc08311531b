import type { Libp2p } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Content } from '../../../protocols/content/types.ts'
import type { Claim, PeerCapabilities } from '../capabilities/index.ts'
import { cancelled } from '../errors.ts'
import type { PrivateMark } from '../private/types.ts'
import { explainRoute, type OuterSources, type Route } from './explain.ts'
import { factsOf, type FactsStorage } from './facts.ts'
import { measuredBytesPerSecond } from './score.ts'
import type { Candidate, SourceRouter } from './types.ts'

/** A peer that may have a CID, and what was learned of it. */
export interface Provider {
  peer: string
  kind: 'connected' | 'dht'
  score: number
  /** What it says about this CID. */
  claim: Claim
  /** Lately, each counted less the longer ago it was. */
  successes: number
  failures: number
  bytes: number
  bytesPerSecond: number | null
  latencyMs: number | null
}

export interface SourceGuideDependencies {
  router: SourceRouter
  capabilities: PeerCapabilities
  isPrivate: PrivateMark['isPrivate']
  content: Pick<Content, 'peers'>
  libp2p: Pick<Libp2p, 'contentRouting' | 'peerId'>
  storage: FactsStorage
  /** The steps after the peers. */
  outer: OuterSources
}

/** Tells people where content would come from, and why. */
export class SourceGuide {
  readonly #dependencies: SourceGuideDependencies

  constructor(dependencies: SourceGuideDependencies) {
    this.#dependencies = dependencies
  }

  /** Connected peers, the best first, then what the DHT knows. */
  async *providers(cid: CID, { signal }: { signal: AbortSignal }): AsyncGenerator<Provider> {
    const { router, isPrivate } = this.#dependencies
    const connected = this.#peers()
    const candidates = connected.map((id): Candidate => ({ kind: 'peer', id }))
    for (const { id, score } of router.rank(cid, candidates))
      yield this.#described(cid, id, 'connected', score)
    if (isPrivate(cid)) return
    try {
      for await (const id of this.#findProviders(cid, signal)) {
        if (connected.includes(id)) continue
        const [ranked] = router.rank(cid, [{ kind: 'provider', id }])
        yield this.#described(cid, id, 'dht', ranked?.score ?? 0)
      }
    } catch (error) {
      if (signal.aborted) throw cancelled(error)
      // Routers report an empty result as an error; there is nothing to tell then.
    }
  }

  async route(cid: CID, options: { signal: AbortSignal; sizeBytes?: number | undefined }): Promise<Route> {
    const { router, isPrivate, storage, outer } = this.#dependencies
    try {
      return await explainRoute(
        cid,
        {
          router,
          isPrivate,
          peers: () => this.#peers(),
          providers: (wanted, signal) => this.#findProviders(wanted, signal),
          outer,
          factsOf: (wanted) => factsOf(storage, wanted),
        },
        options,
      )
    } catch (error) {
      throw options.signal.aborted ? cancelled(error) : error
    }
  }

  #peers(): string[] {
    return this.#dependencies.content.peers().map((peer) => peer.toString())
  }

  async *#findProviders(cid: CID, signal: AbortSignal): AsyncGenerator<string> {
    const { contentRouting, peerId } = this.#dependencies.libp2p
    for await (const { id } of contentRouting.findProviders(cid, { signal }))
      if (!id.equals(peerId)) yield id.toString()
  }

  #described(cid: CID, peer: string, kind: Provider['kind'], score: number): Provider {
    const { router, capabilities } = this.#dependencies
    const statistics = router.statistics({ kind: 'peer', id: peer })
    return {
      peer,
      kind,
      score,
      claim: capabilities.claims(peer, cid),
      successes: statistics?.successes ?? 0,
      failures: statistics?.failures ?? 0,
      bytes: statistics?.bytes ?? 0,
      bytesPerSecond: measuredBytesPerSecond(statistics),
      latencyMs: statistics?.latencyMs ?? null,
    }
  }
}
