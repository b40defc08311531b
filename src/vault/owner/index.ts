/**
 * What this node's owner put: keys, objects, slabs; the jobs `put`, `rm` and `complete`; leases that are renewed while the
 * node runs; the owner's state as an object of its own.
 *
 * @example
 * const owner = createOwner({ secret, state, chunk, placer, … })
 * owner.registerJobs(jobs)
 * await owner.start()
 * await owner.stop()
 */
import { join } from 'node:path'
import type { Chunk } from '../../../protocols/chunk/types.ts'
import type { Jobs } from '../../jobs/types.ts'
import type { StateDatabase } from '../../storage/state/index.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Evidence } from '../../trust/contract.ts'
import { formatLink, type ManifestCodec, phraseOf, type SegmentCodec } from '../codec/index.ts'
import type { Locator, Placer, Restorer, Tombstones } from '../contracts.ts'
import { writtenForm } from '../place/index.ts'
import type { Health, VaultObjectSummary } from '../types.ts'
import { AtRest } from './at-rest.ts'
import { completeJob } from './complete-job.ts'
import { DeletionRounds } from './deletion-rounds.ts'
import { pruneOwned } from './prune.ts'
import { Renewer } from './renewer.ts'
import { rmJob } from './rm-job.ts'
import type { OwnerDependencies } from './put/dependencies.ts'
import { putJob } from './put/put-job.ts'
import { Spool } from './put/spool.ts'
import { type OwnerObject, OwnerState } from './state.ts'

export interface OwnerOptions {
  /** HOME. */
  home: string
  config: {
    readonly network: { readonly name: string }
    readonly vault: { readonly redundancy: string; readonly leaseMs: number }
  }
  ownerSecret: Uint8Array
  database: StateDatabase
  chunk: Chunk
  placer: Placer
  codec: SegmentCodec
  manifestCodec: ManifestCodec
  locator: Pick<Locator, 'holders'>
  restorer: Restorer
  tombstones: Tombstones
  trust: Evidence
  jobs: Jobs
  log: Logger
}

export interface Owner {
  /** Before `jobs.start()`. */
  registerJobs(): void
  start(): Promise<void>
  stop(): Promise<void>
  /** By name, then version. */
  list(): VaultObjectSummary[]
  /** Every object with its read link, for audits. */
  links(): Iterable<{ id: string; link: string }>
  /** What an audit of an object measured. */
  noteHealth(id: string, health: Health | undefined): void
  /** The owner's part of `prune`. */
  prune(options: { dryRun: boolean; signal: AbortSignal }): Promise<{ abandonedSlabs: number; bytes: number }>
  recoveryPhrase(): string
  report(): { objects: number; degradedSlabs: number; soonestExpiryMs: number | null; problems: string[] }
}

export function createOwner(options: OwnerOptions): Owner {
  const { home, config, ownerSecret, database, log, jobs } = options
  const state = new OwnerState(database, new AtRest(ownerSecret))
  const workFolder = join(home, 'vault')
  /** As it was last measured; at most one entry an object. */
  const measured = new Map<string, Health['state']>()
  const dependencies: OwnerDependencies = {
    state,
    ownerSecret: () => ownerSecret,
    networkName: config.network.name,
    workFolder,
    manifestsFolder: join(home, 'manifests'),
    redundancy: config.vault.redundancy,
    leaseMs: config.vault.leaseMs,
    chunk: options.chunk,
    placer: options.placer,
    codec: options.codec,
    manifestCodec: options.manifestCodec,
    trust: options.trust,
    jobs,
    log: log.child({ part: 'vault-owner' }),
    onLeases: () => renewer.wake(),
    onChange() {},
  }
  const owned = {
    ...dependencies,
    locator: options.locator,
    tombstones: options.tombstones,
    restorer: options.restorer,
  }
  const renewer = new Renewer(owned)
  const deletions = new DeletionRounds(owned)

  const summary = (object: OwnerObject): VaultObjectSummary => {
    const { id, name, version, kind, size, redundancy, createdMs } = object
    return {
      id,
      name,
      version,
      kind,
      size,
      stored: state.usageOf(id).stored,
      redundancy: redundancy === null ? '' : writtenForm(redundancy),
      link: linkOf(object),
      createdAtMs: createdMs,
      expiresAtMs: state.soonestExpiryMs(id) ?? 0,
      state: object.state,
      health: measured.get(id) ?? 'unknown',
    }
  }

  return {
    registerJobs() {
      jobs.register(putJob(dependencies))
      jobs.register(rmJob(owned))
      jobs.register(completeJob(owned))
    },
    async start() {
      await Spool.sweep(join(workFolder, 'spool'))
      renewer.start()
      deletions.start()
    },
    async stop() {
      await Promise.all([renewer.stop(), deletions.stop()])
    },
    prune: (asked) => pruneOwned(owned, asked),
    list: () => state.objects().map(summary).sort(byNameThenVersion),
    *links() {
      for (const object of state.objects()) {
        if (object.state === 'stored' || object.state === 'degraded')
          yield { id: object.id, link: linkOf(object) }
      }
    },
    noteHealth(id, health) {
      if (health === undefined) measured.delete(id)
      else measured.set(id, health.state)
    },
    recoveryPhrase: () => phraseOf(ownerSecret),
    report: () => ({
      objects: state.objectCount(),
      degradedSlabs: state.degradedSlabCount(),
      soonestExpiryMs: state.soonestExpiryMs(),
      problems: [],
    }),
  }
}

function linkOf(object: OwnerObject): string {
  return formatLink({ power: 'read', slab: object.manifest, key: Buffer.from(object.readKey, 'base64') })
}

function byNameThenVersion(one: VaultObjectSummary, other: VaultObjectSummary): number {
  if (one.name !== other.name) return one.name < other.name ? -1 : 1
  return one.version - other.version
}
