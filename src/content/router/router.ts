import type { CID } from 'multiformats/cid'
import type { Logger } from '../../telemetry/types.ts'
import type { Scores } from '../../trust/contract.ts'
import type { Claim, PeerCapabilities } from '../capabilities/index.ts'
import type { PrivateMark } from '../private/types.ts'
import { SourceMemory } from './memory.ts'
import { optimalCount, preferenceOf, type PreferenceRules } from './rules.ts'
import { scoreOf, type Weights } from './score.ts'
import type { RouterState } from './store.ts'
import type { Candidate, ContentFacts, RankedSource, SourceKind, SourceRouter } from './types.ts'

/** As `config.content.router`. */
export interface RouterConfig extends PreferenceRules {
  readonly halfLifeMs: number
  readonly fastBandwidthBytesPerSecond: number
  readonly weights: Weights
}

export interface SourceRouterOptions {
  config: RouterConfig
  state: RouterState
  capabilities: PeerCapabilities
  trust: Scores
  privateMark: PrivateMark
  /** Of a connected peer's connection; null where it is not known. */
  latencyMs: (peer: string) => number | null
  log: Logger
  now?: () => number
}

/** Ways by which a CID leaves the swarm. */
const PUBLIC_KINDS: ReadonlySet<SourceKind> = new Set<SourceKind>(['ipfs', 'proxy', 'gateway'])

export interface RunningSourceRouter extends SourceRouter {
  /** Writes what is left. */
  stop(): void
}

export function createSourceRouter(options: SourceRouterOptions): RunningSourceRouter {
  const { config, capabilities, trust, privateMark, latencyMs } = options
  const memory = new SourceMemory({
    state: options.state,
    halfLifeMs: config.halfLifeMs,
    log: options.log,
    ...(options.now === undefined ? {} : { now: options.now }),
  })

  const claimOf = ({ kind, id }: Candidate, root: CID): Claim => {
    const claim = isPeer(kind) ? capabilities.claims(id, root) : 'unknown'
    return kind === 'provider' ? 'yes' : claim
  }

  const scored = (candidate: Candidate, root: CID, facts: ContentFacts): RankedSource => {
    const { kind, id } = candidate
    const isPeerKind = kind !== 'ipfs' && kind !== 'gateway'
    const told = isPeerKind ? capabilities.of(id) : undefined
    const reachesIpfs =
      kind === 'proxy'
        ? told?.ipfs !== 'none'
        : kind === 'ipfs' || told?.ipfs === 'helia' || told?.ipfs === 'kubo'
    return {
      ...candidate,
      ...scoreOf(
        {
          kind,
          // Of private content nobody may ask IPFS, so that to be able to is worth nothing.
          hasIpfs: reachesIpfs && facts.isPrivate !== true,
          trust: isPeerKind ? trust.score(id) : null,
          toldBytesPerSecond: told?.bandwidthBytesPerSecond ?? null,
          // What a proxy has to fetch first takes it longer than the way to it.
          connectionLatencyMs: isPeerKind && kind !== 'proxy' ? latencyMs(id) : null,
          statistics: memory.get(candidate),
          claim: claimOf(candidate, root),
          preference: preferenceOf(facts, config),
        },
        config.weights,
        config.fastBandwidthBytesPerSecond,
      ),
    }
  }

  const completed = (root: CID, facts: ContentFacts): ContentFacts => ({
    ...facts,
    isPrivate: facts.isPrivate === true || privateMark.isPrivate(root),
  })

  return {
    rank(root, candidates, given = {}) {
      const facts = completed(root, given)
      return candidates
        .filter(({ kind }) => facts.isPrivate !== true || !PUBLIC_KINDS.has(kind))
        .map((candidate) => scored(candidate, root, facts))
        .sort((a, b) => b.score - a.score)
    },
    report(root, outcome) {
      memory.learn(outcome, isPeer(outcome.kind) ? capabilities.claims(outcome.id, root) : 'unknown')
    },
    statistics: (source) => memory.get(source),
    optimalCount,
    preference: (facts) => preferenceOf(facts, config),
    stop: () => memory.stop(),
  }
}

function isPeer(kind: SourceKind): boolean {
  return kind === 'peer' || kind === 'provider'
}
