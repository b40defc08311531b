import type { FastifyInstance } from 'fastify'
import type { Bandwidth } from '../../../protocols/shared/bandwidth.ts'
import type { NameRecord, NameResolver } from '../../content/names/types.ts'
import type { PrivateMark } from '../../content/private/types.ts'
import type { ContentService } from '../../content/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { ContentPolicy, Decision } from '../../trust/contract.ts'
import type { GatewayMetricsSource } from './metrics.ts'

/**
 * Adds routes of another service to the gateway's port, as `/routing/v1/…` are. Called once, before the server listens, with a
 * scope of its own: hooks, parsers of bodies and error handlers set on it hold for its routes alone. Only POST and PUT
 * bodies of JSON are parsed unless it says otherwise, at most 64 KiB.
 *
 * The server's own rules come before: addresses that are blocked, the bound on requests at a time, CORS for everybody. Paths
 * below `/ipfs/` and `/ipns/`, and all paths of hosts that are names of content, never get to these routes.
 */
export type GatewayRoutes = (app: FastifyInstance) => void

/** As `config.gateway` holds it. */
export interface GatewaySettings {
  readonly host: string
  readonly port: number
  readonly fetch: boolean
  readonly deserialized: boolean
  readonly hosts: readonly string[]
  readonly denied: readonly string[]
  readonly timeoutMs: number
  readonly maxRequests: number
  readonly maxRequestsPerAddress: number
}

/** Mutable names, and their signed records where those can be had. */
export interface GatewayNames extends NameResolver {
  /**
   * The record of an IPNS name as it was signed.
   * @throws as `resolve` does
   */
  record?(
    name: string,
    options: { signal: AbortSignal; offline?: boolean },
  ): Promise<Pick<NameRecord, 'bytes' | 'ttlMs'>>
}

export interface GatewayDependencies {
  settings: GatewaySettings
  content: Pick<ContentService, 'blocks'>
  /** Absent: paths below `/ipns/` are answered 501. */
  names?: GatewayNames | undefined
  privateMark: PrivateMark
  /** Whether an address (text form) may ask at all. */
  decideAddress(address: string, family: 'ipv4' | 'ipv6'): Decision
  /** Whether what an address has open is counted; that of this machine is not, where a proxy may stand in front. */
  isCounted?: ((address: string) => boolean) | undefined
  /** What is given to nobody, beside `settings.denied`. */
  contentPolicy?: ContentPolicy | undefined
  bandwidth: Bandwidth
  metrics: GatewayMetricsSource
  log: Logger
  routes?: readonly GatewayRoutes[]
  /** Other times than the usual ones, for tests. */
  timeouts?: Partial<GatewayTimeouts>
}

/** Times of the server in milliseconds. */
export interface GatewayTimeouts {
  readonly headersMs: number
  readonly checkingIntervalMs: number
  readonly keepAliveMs: number
  readonly downloadStallMs: number
  readonly closeGraceMs: number
}
