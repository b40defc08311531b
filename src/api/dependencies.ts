import type { Writable } from 'node:stream'
import type { Static } from 'typebox'
import type { Content } from '../../protocols/content/types.ts'
import type { ContentService } from '../content/types.ts'
import type { Jobs } from '../jobs/types.ts'
import type { Network } from '../network/types.ts'
import type { Storage } from '../storage/types.ts'
import type { Logger } from '../telemetry/types.ts'
import type { EvidenceDetail } from '../trust/contract.ts'
import type { ConfigReport, DoctorReport, IdReport, ReadyReport, StatusReport } from './schemas/node.ts'

/** Deny and allow lists and the stored evidence, as the trust room keeps them. */
export interface TrustAdministration {
  block(peer: string, reason?: string): Promise<void>
  unblock(peer: string): Promise<void>
  blocked(): { peer: string; reason: string; sinceMs: number }[]
  allow(peer: string): Promise<void>
  disallow(peer: string): Promise<void>
  allowed(): { peer: string; sinceMs: number }[]
  /** Newest first, at most `limit`; `afterId` continues a page. */
  evidence(filter: { peer?: string; limit: number; afterId?: number }): {
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

/** The few statements that the API's own table (`token`) needs; better-sqlite3's `Database` fits. */
export interface TokenDatabase {
  prepare(sql: string): {
    run(...values: unknown[]): { changes: number }
    all(...values: unknown[]): unknown[]
  }
}

/** The registry as Prometheus text. */
export interface MetricsSource {
  text(): Promise<string>
  readonly contentType: string
  /** 99th percentile of the event loop's delay in milliseconds. */
  eventLoopDelayP99Ms(): number
}

/**
 * Everything the API stands on. It knows no concrete service: the composition root hands these in, tests hand in
 * small ones.
 */
export interface ApiDependencies {
  /** Where to listen. Port 0 takes a free one. */
  listen: { host: string; port: number }
  /** The data folder, for `api.json` and `api.token`. */
  home: string
  version: string
  log: Logger
  metrics: MetricsSource
  network: Network
  trust: TrustAdministration
  jobs: Jobs
  content: ContentService
  contentStatistics: Content['statistics']
  storage: Pick<Storage, 'blocks' | 'pins'>
  state: TokenDatabase
  /** The node's own report, but for what the API asks of `jobs` and `storage` itself. */
  status(): Omit<Static<typeof StatusReport>, 'storage' | 'jobs' | 'peers' | 'health' | 'problems'>
  id(): Static<typeof IdReport>
  health(): Static<typeof ReadyReport>
  /** The resolved configuration with its sources; secrets are hidden by whoever gives it. */
  configuration(): Static<typeof ConfigReport>
  doctor(signal: AbortSignal): Promise<Static<typeof DoctorReport>>
  /** Begins to stop the node and returns at once. */
  stop(): void
  /** Writes a consistent snapshot of the home as a tar stream and ends `out`. */
  backup(out: Writable, signal: AbortSignal): Promise<void>
}
