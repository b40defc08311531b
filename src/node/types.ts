import type { Worker } from 'node:worker_threads'
import type { Config, Sources } from '../../config/index.ts'
import type { CatalogService } from '../catalog/types.ts'
import type { NameService } from '../content/names/index.ts'
import type { ContentService } from '../content/types.ts'
import type { Jobs } from '../jobs/index.ts'
import type { Network } from '../network/index.ts'
import type { OpenStorage } from '../storage/open.ts'
import type { Logger } from '../telemetry/types.ts'
import type { SwarmService } from '../swarm/index.ts'
import type { TrustService } from '../trust/index.ts'
import type { VaultService } from '../vault/index.ts'
import type { NodeHealth, NodeState } from './health.ts'
import type { AskPassphrase } from './passphrase.ts'
import type { Replacements } from './replacements.ts'

export type { Replacements } from './replacements.ts'

export interface NodeOptions {
  home: string
  config: Config
  /** Where each key came from, for `GET /config`. */
  sources: Sources
  log: Logger
  /** Gives the passphrase of the identity, or undefined where nobody has one. */
  passphrase?: AskPassphrase
  /** Called when a client asks the node to stop; whoever runs the node then calls `stop`. */
  onStopRequest?: () => void
  /** What is to write blocks.db, where whoever makes the node has started it already. */
  writerThread?: Worker | undefined
  /** For simulations alone. */
  replace?: Replacements
}

/** What `start --json` prints when everything is serving. */
export interface ReadyLine {
  peerId: string
  did: string
  multiaddrs: string[]
  api: string
  gateway: string | null
  role: string
  home: string
  pid: number
}

/** The services of a running node, for whoever holds it in the same process. */
export interface NodeServices {
  readonly storage: OpenStorage
  readonly jobs: Jobs
  readonly content: ContentService
  readonly names: NameService
  readonly catalog: CatalogService
  readonly vault: VaultService
  readonly network: Network
  readonly trust: TrustService
  readonly swarm: SwarmService
}

export interface Node {
  readonly state: NodeState
  /**
   * Resolves once everything is serving. Starting twice returns the first start; a start that fails leaves nothing running.
   *
   * @throws ERR_HOME_LOCKED, ERR_CONFIG_…, ERR_IDENTITY_…, ERR_PASSPHRASE_…, ERR_STATE_…, ERR_STORAGE_…, ERR_API_LISTEN,
   * ERR_CANCELLED where the signal aborted
   */
  start(signal?: AbortSignal): Promise<ReadyLine>
  /** Stops in the reverse order of starting, each step bounded in time. Before a start, or again, it does no harm. */
  stop(): Promise<void>
  /** As `/health/ready` tells it. */
  health(): NodeHealth
  /** @throws ERR_NODE_NOT_READY */
  ready(): ReadyLine
  /** @throws ERR_NODE_NOT_READY */
  services(): NodeServices
}
