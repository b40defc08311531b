import type { CID } from 'multiformats/cid'
import type { Candidate, ContentFacts, Preference, RankedSource, SourceRouter } from './types.ts'

/** A walk through the DHT goes on after its first answers; whoever asks for a ranking waits no longer. */
const DHT_TIMEOUT_MS = 5_000
/** Providers that are ranked: more than any fetch asks. */
const MAX_PROVIDERS = 64

/** Why content would come from where. */
export interface Route {
  cid: string
  /** What was known of it. */
  facts: { isPrivate: boolean; sizeBytes: number | null; ageMs: number | null }
  preference: Preference
  /** How many sources it is worth. */
  count: number
  /** The best first. */
  sources: RankedSource[]
  /** The steps after the peers, in the order in which a fetch asks them. */
  steps: string[]
}

/** What lies behind the steps of the discovery flow after the peers. */
export interface OuterSources {
  sources(): Candidate[]
  order(root: CID, facts: ContentFacts): string[]
}

export interface RouteDependencies {
  router: Pick<SourceRouter, 'rank' | 'preference' | 'optimalCount'>
  isPrivate: (cid: CID) => boolean
  /** Connected peers that speak the content protocol. */
  peers: () => string[]
  providers: (cid: CID, signal: AbortSignal) => AsyncIterable<string>
  outer: OuterSources
  /** What can be told without asking anybody. */
  factsOf: (cid: CID) => Promise<Pick<ContentFacts, 'sizeBytes' | 'ageMs'>>
}

/** Ranks every source that there is for a CID, whether or not a fetch would get as far. Private CIDs are looked up nowhere. */
export async function explainRoute(
  cid: CID,
  dependencies: RouteDependencies,
  { signal, sizeBytes }: { signal: AbortSignal; sizeBytes?: number | undefined },
): Promise<Route> {
  const { router, isPrivate, outer } = dependencies
  const known = await dependencies.factsOf(cid)
  const facts: ContentFacts = {
    ...known,
    isPrivate: isPrivate(cid),
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
  }
  const peers = dependencies.peers()
  const candidates: Candidate[] = peers.map((id) => ({ kind: 'peer', id }))
  if (facts.isPrivate !== true) {
    const connected = new Set(peers)
    for (const id of await providersOf(cid, dependencies, signal))
      if (!connected.has(id)) candidates.push({ kind: 'provider', id })
    candidates.push(...outer.sources())
  }
  return {
    cid: cid.toString(),
    facts: {
      isPrivate: facts.isPrivate === true,
      sizeBytes: facts.sizeBytes ?? null,
      ageMs: facts.ageMs ?? null,
    },
    preference: router.preference(facts),
    count: router.optimalCount(facts.sizeBytes),
    sources: router.rank(cid, candidates, facts),
    steps: facts.isPrivate === true ? [] : outer.order(cid, facts),
  }
}

async function providersOf(
  cid: CID,
  { providers }: RouteDependencies,
  signal: AbortSignal,
): Promise<Set<string>> {
  const found = new Set<string>()
  try {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(DHT_TIMEOUT_MS)])
    for await (const peer of providers(cid, bounded)) {
      found.add(peer)
      if (found.size >= MAX_PROVIDERS) break
    }
  } catch {
    // Routers report an empty result, and the end of the time, as an error; what was found counts.
  }
  signal.throwIfAborted()
  return found
}
