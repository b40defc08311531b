import type { Writable } from 'node:stream'
import type { Static } from 'typebox'
import type { Content } from '../../protocols/content/types.ts'
import type { CatalogService } from '../catalog/types.ts'
import type { Announcements } from '../content/announce/index.ts'
import type { PinPolicies } from '../content/policy/types.ts'
import type { ProvideStatistics } from '../content/provide/types.ts'
import type { NameService } from '../content/names/types.ts'
import type { PinningService } from '../content/pinning/types.ts'
import type { ContentService } from '../content/types.ts'
import type { Hooks } from '../gossip/hooks/types.ts'
import type { AppMessages } from '../gossip/messages/types.ts'
import type { Jobs } from '../jobs/types.ts'
import type { Network } from '../network/types.ts'
import type { Storage } from '../storage/types.ts'
import type { StateDatabase } from '../storage/state/index.ts'
import type { SwarmService } from '../swarm/types.ts'
import type { Logger } from '../telemetry/types.ts'
import type { EvidenceDetail } from '../trust/contract.ts'
import type { Recommendations } from '../trust/recommend/types.ts'
import type { VaultService } from '../vault/types.ts'
import type { Timeouts } from './limits.ts'
import type { LedgerAudit, TrustedPeer, TrustList } from './schemas/trust.ts'
import type {
  ConfigReport,
  DoctorReport,
  IdReport,
  ReadyReport,
  StatsReport,
  StatusReport,
} from './schemas/node.ts'

/** As much of state.db as tokens need. */
export type TokenState = Pick<StateDatabase, 'db' | 'write' | 'writeRelaxed'>

/** An entry of the deny or the allow list. */
export interface ListEntry {
  peer: string
  reason: string | null
  sinceMs: number
}

/** Deny and allow lists and the stored evidence, as the trust room keeps them. */
export interface TrustAdministration {
  /** Listed peers' connections are ended by whoever watches the lists. */
  block(peer: string, reason?: string): unknown
  unblock(peer: string): boolean
  allow(peer: string): unknown
  disallow(peer: string): boolean
  list(): { blocked: ListEntry[]; allowed: ListEntry[] }
  explain(peer: string): Static<typeof TrustedPeer>
  peers(query: { limit?: number; afterPeer?: string }): Static<typeof TrustList>
  /** null: what was seen counts again. */
  setScore(peer: string, score: number | null): Static<typeof TrustedPeer>
  audit(signal: AbortSignal): Promise<Static<typeof LedgerAudit>>
  /** In the order it came, at most `limit` rows; `afterId` continues a page. */
  evidence(query: { peer?: string; limit?: number; afterId?: number }): {
    evidence: {
      id: number
      peer: string
      kind: string
      detail: EvidenceDetail
      atMs: number
      count: number
    }[]
    nextAfterId: number | null
  }
}

/** The node's metrics, as far as the API reads them and adds its own. */
export interface MetricsSource {
  text(): Promise<string>
  readonly contentType: string
  /** 99th percentile of the event loop's delay in milliseconds. */
  eventLoopDelayP99Ms(): number
  histogram(options: {
    name: string
    help: string
    labels: readonly ('method' | 'route' | 'status')[]
    buckets: number[]
  }): {
    observe(labels: { method: string; route: string; status: string }, value: number): void
  }
  observedGauge(options: { name: string; help: string }, read: () => number): void
}

/**
 * Everything the API stands on. It knows no concrete service: the composition root hands these in, tests hand in
 * small ones.
 */
export interface ApiDependencies {
  /** Where to listen. Port 0 takes a free one. `names`: further names that requests may call this node by. */
  listen: { host: string; port: number; names?: readonly string[] }
  /** The data folder, for `api.json` and `api.token`. */
  home: string
  version: string
  log: Logger
  metrics: MetricsSource
  network: Network
  trust: TrustAdministration
  jobs: Jobs
  content: ContentService
  /** IPNS and DNSLink. */
  names: NameService
  /** What publishers say is to be had. */
  catalog?: CatalogService
  /** Pins on behalf of other programs. */
  pinning: PinningService
  /** Private files. */
  vault?: VaultService | undefined
  /** Whether a link alone, without a token, reads over loopback (`vault.publicRead`). */
  publicRead: boolean
  contentStatistics: Content['statistics']
  /** What is kept without being told each time. */
  policies?: PinPolicies
  messages?: AppMessages
  /** Where messages are sent by HTTP. */
  hooks?: Hooks
  /** The private network that this node may be in. */
  swarm?: SwarmService
  /** What this node tells of others. */
  recommendations?: Pick<Recommendations, 'recommend' | 'told'>
  /** What others announce, for events. */
  announcements?: Pick<Announcements, 'onAnnouncement'>
  /** Provider records of this node. */
  provideStatistics?: () => ProvideStatistics
  gossipStatistics?: () => Pick<Static<typeof StatsReport>, 'gossip' | 'reconcile'>
  storage: Pick<Storage, 'blocks' | 'pins'>
  /** Holds the table `token`. */
  state: TokenState
  /** The node's own report, but for what the API asks of `jobs` and `storage` itself. */
  status(): Omit<
    Static<typeof StatusReport>,
    'storage' | 'vault' | 'jobs' | 'hooks' | 'peers' | 'health' | 'problems'
  >
  id(): Static<typeof IdReport>
  health(): Static<typeof ReadyReport>
  /** The resolved configuration with its sources; secrets are hidden by whoever gives it. */
  configuration(): Static<typeof ConfigReport>
  doctor(signal: AbortSignal): Promise<Static<typeof DoctorReport>>
  /** Other times than the usual ones, for tests. */
  timeouts?: Partial<Timeouts>
  /** Begins to stop the node and returns at once. */
  stop(): void
  /** Writes a consistent snapshot of the home as a tar stream and ends `out`. */
  backup(out: Writable, signal: AbortSignal): Promise<void>
}
