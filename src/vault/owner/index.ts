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
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Chunk } from '../../../protocols/chunk/types.ts'
import { Pacer } from '../../../protocols/shared/pacer.ts'
import type { JobPrivacy, Jobs } from '../../jobs/types.ts'
import type { StateDatabase } from '../../storage/state/index.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Evidence } from '../../trust/contract.ts'
import {
  formatLink,
  type ManifestCodec,
  ownerSecretOf,
  parseLink,
  phraseOf,
  type SegmentCodec,
} from '../codec/index.ts'
import type { Locator, Placer, Restorer, Tombstones } from '../contracts.ts'
import { LIVE_INTERVALS } from '../health/limits.ts'
import { writtenForm } from '../place/index.ts'
import type { Health, VaultObjectSummary, VaultReport } from '../types.ts'
import { AtRest } from './at-rest.ts'
import { jobPrivacy } from './job-privacy.ts'
import {
  LATE_LEASE_PART,
  MAX_RECOVERED,
  REPORT_FRESH_MS,
  STATE_RECOVERY_AHEAD,
  STATE_RECOVERY_MORE_MS,
} from './limits.ts'
import { completeJob } from './complete-job.ts'
import { DeletionRounds } from './deletion-rounds.ts'
import { type HealthNote, HealthNotes } from './health-notes.ts'
import { mergeDocument, readDocument, writeDocument } from './document.ts'
import { notOwned, objectBusy, stateNotFound } from './errors.ts'
import { pruneOwned } from './prune.ts'
import { checkReceipts } from './receipts.ts'
import { fromOwnerText, openExport, sealExport, toOwnerText } from './sealed-export.ts'
import { StateKeeper } from './state-keeper.ts'
import { fetchVersion, findVersions } from './state-versions.ts'
import { Renewer } from './renewer.ts'
import { rmJob } from './rm-job.ts'
import type { OwnerDependencies } from './put/dependencies.ts'
import { manifestPathOf } from './put/manifest-step.ts'
import { putJob } from './put/put-job.ts'
import { Spool } from './put/spool.ts'
import { type OwnerObject, OwnerState } from './state.ts'

export interface OwnerOptions {
  /** HOME. */
  home: string
  config: {
    readonly network: { readonly name: string }
    readonly vault: {
      readonly redundancy: string
      readonly leaseMs: number
      readonly audit: { readonly intervalMs: number }
    }
  }
  ownerSecret: Uint8Array
  /** Puts another owner's secret in the place of this one's key file. */
  storeOwnerSecret: (secret: Uint8Array) => Promise<void>
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
  /** For other kinds of jobs whose rows hold links. */
  readonly jobPrivacy: JobPrivacy
  start(): Promise<void>
  stop(): Promise<void>
  /** By name, then version. */
  list(): Promise<VaultObjectSummary[]>
  /** Every object with its read link, for audits. */
  links(): Iterable<{ id: string; link: string }>
  /** Whether the link is to an object that this owner keeps. */
  isOwn(link: string): boolean
  /** What was measured of what a link leads to: remembered where it is one of this owner's objects. */
  noteHealth(link: string, health: Health): void
  /** Has holders say whether they keep what they promised. @throws the signal's reason */
  checkReceipts(signal: AbortSignal): Promise<number>
  /** The owner's part of `prune`. */
  prune(options: { dryRun: boolean; signal: AbortSignal }): Promise<{ abandonedSlabs: number; bytes: number }>
  recoveryPhrase(): string
  /** The owner's power over one object, as a text that `importState` takes. */
  shareOwner(link: string): Promise<string>
  exportState(passphrase: string | undefined): Promise<Uint8Array>
  importState(bytes: Uint8Array, passphrase: string | undefined): Promise<{ objects: number }>
  recover(phrase: string, signal: AbortSignal): Promise<{ objects: number; version: number }>
  report(): Omit<VaultReport, 'heldColumns' | 'heldBytes' | 'offeredBytes'>
}

export function createOwner(options: OwnerOptions): Owner {
  const { home, config, database, log, jobs } = options
  let { ownerSecret } = options
  const state = new OwnerState(
    database,
    new AtRest(ownerSecret),
    LIVE_INTERVALS * config.vault.audit.intervalMs,
  )
  const privacy = jobPrivacy(state.atRest)
  const workFolder = join(home, 'vault')
  const measured = new HealthNotes(database, config.vault.audit.intervalMs)
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
    onChange: () => keeper.changed(),
  }
  const owned = {
    ...dependencies,
    locator: options.locator,
    tombstones: options.tombstones,
    restorer: options.restorer,
  }
  const renewer = new Renewer(owned)
  const deletions = new DeletionRounds(owned)
  /** Of an object that was deleted: its key opens nothing any more. */
  const forgetKey = (object: OwnerObject): Promise<void> =>
    rm(manifestPathOf(dependencies, object), { force: true })
  const keeper = new StateKeeper(dependencies, forgetKey)

  const merge = async (document: Uint8Array): Promise<number> => {
    const { leaseMs } = config.vault
    const added = await mergeDocument(state, ownerSecret, await readDocument(document), leaseMs, forgetKey)
    renewer.wake()
    keeper.changed()
    return added
  }

  /** Base58 is slow, and objects are kept in memory. */
  const links = new WeakMap<OwnerObject, string>()
  const linkOf = (object: OwnerObject): string => {
    const known = links.get(object)
    if (known !== undefined) return known
    const key = Buffer.from(object.readKey, 'base64')
    const link = formatLink({ power: 'read', slab: object.manifest, key })
    links.set(object, link)
    return link
  }

  const summary = (object: OwnerObject, note: HealthNote | undefined): VaultObjectSummary => {
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
      health: measured.standing(note),
      healthAtMs: note?.measuredMs ?? null,
    }
  }

  let reported: { atMs: number; report: ReturnType<Owner['report']> } | undefined
  /** Counting looks at every slab: not at each question of whoever watches. */
  const report = (): ReturnType<Owner['report']> => {
    const nowMs = performance.now()
    if (reported !== undefined && nowMs - reported.atMs < REPORT_FRESH_MS) return reported.report
    const soonestExpiryMs = state.soonestExpiryMs()
    const problems: string[] = []
    if (soonestExpiryMs !== null && soonestExpiryMs < Date.now() + config.vault.leaseMs * LATE_LEASE_PART)
      problems.push(
        'leases of private files could not be renewed and are about to end: connect to the peers that hold them',
      )
    if (keeper.isLate)
      problems.push(
        "the owner's state could not be kept in the network: the recovery phrase would not bring back the latest changes; use p2pnode state export",
      )
    const found = {
      objects: state.objectCount(),
      health: measured.counts(),
      degradedSlabs: state.degradedSlabCount(),
      soonestExpiryMs,
      problems,
    }
    reported = { atMs: nowMs, report: found }
    return found
  }

  return {
    jobPrivacy: privacy,
    registerJobs() {
      jobs.register({ ...putJob(dependencies), privacy })
      jobs.register({ ...rmJob(owned), privacy })
      jobs.register({ ...completeJob(owned), privacy })
    },
    async start() {
      await Spool.sweep(join(workFolder, 'spool'))
      measured.forgetGone()
      renewer.start()
      deletions.start()
      keeper.start()
    },
    async stop() {
      await Promise.all([renewer.stop(), deletions.stop(), keeper.stop()])
    },
    prune: (asked) => pruneOwned(owned, asked),
    async list() {
      const notes = measured.all()
      const pacer = new Pacer()
      const summaries: VaultObjectSummary[] = []
      for (const object of state.objects()) {
        summaries.push(summary(object, notes.get(object.id)))
        await pacer.breathe()
      }
      return summaries.sort(byNameThenVersion)
    },
    *links() {
      for (const object of state.allObjects()) {
        if (object.state === 'stored' || object.state === 'degraded')
          yield { id: object.id, link: linkOf(object) }
      }
    },
    isOwn(link) {
      const object = state.objectOfManifest(parseLink(link).slab)
      return object?.state === 'stored' || object?.state === 'degraded'
    },
    noteHealth(link, health) {
      const object = state.objectOfManifest(parseLink(link).slab)
      if (object === undefined) return
      measured.note(object.id, health.state)
      reported = undefined
    },
    checkReceipts: (signal) => checkReceipts(owned, signal),
    recoveryPhrase: () => phraseOf(ownerSecret),
    async shareOwner(link) {
      const object = state.objectOfManifest(parseLink(link).slab)
      if (object === undefined) throw notOwned()
      if (object.state === 'putting') throw objectBusy(object.name)
      return toOwnerText(await writeDocument(state, ownerSecret, object))
    },
    async exportState(passphrase) {
      const document = await writeDocument(state, ownerSecret)
      return sealExport(document, passphrase === undefined ? { ownerSecret } : { passphrase })
    },
    async importState(bytes, passphrase) {
      const document = await openExport(fromOwnerText(bytes), { passphrase, ownerSecret })
      return { objects: await merge(document) }
    },
    async recover(phrase, signal) {
      const secret = ownerSecretOf(phrase)
      let version: number | undefined
      let objects = 0
      let within = signal
      const all = await findVersions(dependencies, secret, signal, { ahead: STATE_RECOVERY_AHEAD })
      // Also what is older: another machine of this owner may have made it without knowing of the newest one.
      for (const found of all.slice(0, MAX_RECOVERED)) {
        const document = await fetchVersion(dependencies, secret, found, within).catch(() => undefined)
        signal.throwIfAborted()
        if (within.aborted) break
        if (document === undefined) continue
        // A machine that never put anything becomes that owner; another one takes over the objects alone.
        if (state.isEmpty()) {
          await options.storeOwnerSecret(secret)
          ownerSecret = secret
          state.atRest.use(secret)
          await database.write(() => state.insertVersion(found.version, found.slab, Date.now()))
        }
        objects += await merge(document)
        if (version !== undefined) continue
        version = found.version
        within = AbortSignal.any([signal, AbortSignal.timeout(STATE_RECOVERY_MORE_MS)])
      }
      if (version === undefined) throw stateNotFound()
      return { objects, version }
    },
    report,
  }
}

function byNameThenVersion(one: VaultObjectSummary, other: VaultObjectSummary): number {
  if (one.name !== other.name) return one.name < other.name ? -1 : 1
  return one.version - other.version
}
