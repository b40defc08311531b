import type { Libp2p } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Content } from '../../../protocols/content/types.ts'
import type { Blocks, Pins } from '../../storage/types.ts'
import type { Claim, PeerCapabilities } from '../capabilities/index.ts'
import { cancelled } from '../errors.ts'
import type { PrivateMark } from '../private/types.ts'
import { decodeNode } from '../read/node.ts'
import { explainRoute, type Route } from './explain.ts'
import { measuredBytesPerSecond } from './score.ts'
import type { Candidate, ContentFacts, SourceRouter } from './types.ts'

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
  storage: { blocks: Pick<Blocks, 'get'>; pins: Pick<Pins, 'list'> }
  steps: { readonly ipfs: boolean; readonly proxy: boolean; readonly gateways: boolean }
  gateways: readonly string[]
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
    const { router, capabilities, isPrivate, steps, gateways } = this.#dependencies
    const peers = this.#peers()
    const hasIpfs = (peer: string): boolean => ['helia', 'kubo'].includes(capabilities.of(peer)?.ipfs ?? '')
    try {
      return await explainRoute(
        cid,
        {
          router,
          isPrivate,
          peers: () => peers,
          providers: (wanted, signal) => this.#findProviders(wanted, signal),
          proxies: () => (steps.proxy ? peers.filter(hasIpfs) : []),
          hasIpfs: steps.ipfs,
          gateways: steps.gateways ? gateways : [],
          factsOf: (wanted, signal) => this.#factsOf(wanted, signal),
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

  /** From what is held here: the root tells the size of a file, a pin since when it is known. */
  async #factsOf(cid: CID, signal: AbortSignal): Promise<Pick<ContentFacts, 'sizeBytes' | 'ageMs'>> {
    const { blocks, pins } = this.#dependencies.storage
    const [pin] = pins.list({ cid, limit: 1 }).pins
    const bytes = await blocks.get(cid, { signal })
    const sizeBytes = bytes === undefined ? undefined : sizeOf(cid, bytes)
    return {
      ...(sizeBytes === undefined ? {} : { sizeBytes }),
      ...(pin === undefined ? {} : { ageMs: Math.max(0, Date.now() - pin.createdAtMs) }),
    }
  }
}

/** Bytes of a file; undefined for what does not tell, or is malformed. */
function sizeOf(cid: CID, bytes: Uint8Array): number | undefined {
  try {
    const node = decodeNode(cid, bytes)
    return node.type === 'file' ? node.sizeBytes : undefined
  } catch {
    return undefined
  }
}
