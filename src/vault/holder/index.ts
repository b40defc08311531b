/**
 * What this node keeps for others: answers to the chunk protocol, audits of co-holders, repair, deletions, expiry, and the
 * jobs `prune` and `leave`.
 *
 * @example
 * const holder = createHolder({ config, identity, state, columns, trust, gossip, log })
 * // … libp2p with chunk({ holder: holder.answers }), gossip with deletionsTopic(networkName)
 * const restorer = holder.start({ chunk, locator, placer, codec, locate, jobs, pruneOwned })
 * await holder.stop()
 */
import type { Ed25519PrivateKey, PeerId } from '@libp2p/interface'
import { ed25519Signer, SEED_BYTES } from '../../../protocols/chunk/format/index.ts'
import type { Chunk, ChunkHolder, SlabId } from '../../../protocols/chunk/types.ts'
import type { Gossip } from '../../gossip/index.ts'
import type { Jobs } from '../../jobs/types.ts'
import type { ColumnRow, Columns } from '../../storage/columns/types.ts'
import type { StateDatabase } from '../../storage/state/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Evidence, Policy } from '../../trust/contract.ts'
import type { SegmentCodec } from '../codec/types.ts'
import type { Locator, Placer, Restorer, Tombstones } from '../contracts.ts'
import { ByteRate } from '../restore/byte-rate.ts'
import { LOCATE_QUIET_MS, MIN_LOCATE_QUIET_MS } from '../restore/limits.ts'
import type { MeasureDependencies } from '../restore/measure.ts'
import { Prover } from '../restore/prove.ts'
import { createRestorer } from '../restore/restorer.ts'
import type { SlabRepairDependencies } from '../restore/slab-repair.ts'
import { Answers, type LocateAnswerer } from './answers.ts'
import { Auditor } from './audits.ts'
import { Challenges } from './challenges.ts'
import { ClaimTable } from './claims.ts'
import { Cohort } from './cohort.ts'
import { type Counters, newCounters } from './counters.ts'
import { Deletions } from './deletions.ts'
import { Expiry } from './expiry.ts'
import { FamiliarPeers } from './familiar-peers.ts'
import { HeldColumns } from './held.ts'
import { Hints } from './hints.ts'
import { leaveJob } from './leave-job.ts'
import { Leaving } from './leaving.ts'
import {
  AUDIT_BYTES_PER_SECOND,
  AWAY_MS,
  EXPIRY_INTERVAL_MS,
  MIN_TOMBSTONE_ROUND_MS,
  TOMBSTONE_ROUND_MS,
} from './limits.ts'
import { type PruneOwned, pruneJob } from './prune-job.ts'
import { Repairs } from './repairs.ts'
import { Soundness } from './soundness.ts'
import { Statements } from './statements.ts'
import { Surplus } from './surplus.ts'
import { TombstoneSync } from './tombstones.ts'
import { Walk } from './walk.ts'

export type { LocateAnswerer } from './answers.ts'
export { deletionsTopic } from './deletions.ts'
export type { PruneOwned } from './prune-job.ts'

export interface HolderOptions {
  config: {
    readonly network: { readonly name: string }
    readonly storage: { readonly offerBytes: number }
    readonly vault: {
      readonly audit: { readonly intervalMs: number }
      readonly repair: { readonly graceMs: number; readonly rateBytesPerSecond: number }
    }
  }
  identity: { readonly privateKey: Ed25519PrivateKey; readonly peerId: PeerId }
  state: StateDatabase
  columns: Columns
  trust: Policy & Evidence
  gossip: Pick<Gossip, 'publish' | 'subscribe'>
  log: Logger
  /** Milliseconds since the Unix epoch; tests pass their own. */
  nowMs?: () => number
}

/** What stands only once libp2p does. */
export interface HolderParts {
  chunk: Chunk
  locator: Locator
  placer: Pick<Placer, 'candidates'>
  codec: Pick<SegmentCodec, 'rebuild'>
  locate: LocateAnswerer
}

export interface HolderStatistics extends Counters {
  /** Away for too long: neither serves nor takes until it has caught up with deletions. */
  isStale: boolean
  isLeaving: boolean
  /** Sees enough of its usual peers to conclude anything from who is not there. */
  isSound: boolean
  /** Slabs that are looked into or wait for their repair. */
  pendingRepairs: number
  /** Columns of others that this node could not prove for two looks. */
  doubtfulColumns: number
}

export interface Holder {
  /** For the chunk protocol; answers from the start. */
  readonly answers: ChunkHolder
  readonly tombstones: Tombstones
  /** Who else was said to hold columns of the slab's group. */
  hinted(slab: SlabId): string[]
  /** Begins audits, repair, deletions and expiry; once, after libp2p has started. Gives the restorer that the owner shares. */
  start(parts: HolderParts): HolderTools
  /** Ends everything in the background within a second. */
  stop(): Promise<void>
  statistics(): HolderStatistics
  /** What keeps this node from its part as a holder, for `status` and `doctor`. */
  problems(): string[]
}

export interface HolderTools {
  restorer: Restorer
  /** For the job `repair`. */
  repair: SlabRepairDependencies
  /** Registers `prune` and `leave`; before `jobs.start()`. */
  registerJobs(jobs: Pick<Jobs, 'register'>, pruneOwned: PruneOwned): void
}

/** Nothing is bound, opened or timed before `start`. */
export function createHolder(options: HolderOptions): Holder {
  const { config, identity, state, columns, trust, gossip, nowMs = Date.now } = options
  const { intervalMs } = config.vault.audit
  const log = options.log.child({ part: 'vault-holder' })
  const self = identity.peerId
  const networkName = config.network.name
  const counters = newCounters()
  const claims = new ClaimTable()
  const challenges = new Challenges()
  const cohort = new Cohort(state, nowMs)
  const leaving = new Leaving(state)
  const statements = new Statements({ networkName, trust, nowMs })
  const held = new HeldColumns(columns, networkName, self)
  let parts: HolderParts | undefined
  let repairs: Repairs | undefined
  const stopping = new AbortController()
  const stops: (() => void | Promise<void>)[] = []

  const connected = (): string[] => parts?.chunk.peers().map((peer) => peer.toString()) ?? []
  const familiar = new FamiliarPeers({ connected, afterMs: intervalMs })
  const soundness = new Soundness({
    state,
    connected: () => parts?.chunk.peers().length ?? 0,
    familiar: () => familiar.look(),
    halfLifeMs: intervalMs + config.vault.repair.graceMs,
    settleMs: intervalMs,
    nowMs,
  })
  const deletions = new Deletions({
    columns,
    statements,
    counters,
    self: self.toString(),
    knownPeers: connected,
    nowMs,
    onBuried(slab, row) {
      repairs?.forget(slab)
      if (row !== undefined) gone(row)
    },
  })
  const tombstones = new TombstoneSync({
    state,
    deletions,
    gossip,
    log,
    roundMs: Math.min(TOMBSTONE_ROUND_MS, Math.max(MIN_TOMBSTONE_ROUND_MS, intervalMs)),
    nowMs,
    isStale: soundness.awayBeforeMs > AWAY_MS && columns.usage().columns > 0,
  })
  const hints = new Hints(columns, cohort)
  const answers = new Answers({
    columns,
    networkName,
    signer: ed25519Signer(identity.privateKey.raw.subarray(0, SEED_BYTES)),
    statements,
    claims,
    trust,
    counters,
    nowMs,
    offeredBytes: config.storage.offerBytes,
    isLeaving: () => leaving.isLeaving,
    isStale: () => tombstones.isStale,
    isChallenging: (slab) => challenges.isRunning(slab),
    remove: (deletion, peer) => deletions.told(deletion, peer),
    hint: (hint, peer) => hints.take(hint, peer),
    locate: (query, peer, signal) => parts?.locate(query, peer, signal) ?? Promise.resolve([]),
    onStored: (row) => parts?.locator.announce(row.group),
  })

  /** A column is no longer here: expired, trimmed, deleted, handed over. */
  function gone(row: ColumnRow): void {
    cohort.forgetSlab(row.slab)
    if (columns.ofGroup(row.group).length > 0) return
    parts?.locator.withdraw(row.group)
    cohort.forget(row.group)
  }

  function mayRepair(slab: SlabId): boolean {
    return isFit() && !columns.isBuried(slab)
  }

  function isFit(): boolean {
    return soundness.isSound && tombstones.hasAsked && !tombstones.isStale && !leaving.isLeaving
  }

  function start(started: HolderParts): HolderTools {
    if (parts !== undefined) throw new Error('the holder was started already')
    parts = started
    const { chunk, locator, placer, codec } = started
    const rate = new ByteRate()
    const quietMs = Math.min(LOCATE_QUIET_MS, Math.max(MIN_LOCATE_QUIET_MS, 2 * intervalMs))
    const prover = new Prover({
      chunk,
      trust,
      rate: new ByteRate(),
      bytesPerSecond: AUDIT_BYTES_PER_SECOND,
      onAudit(verdict, bytes) {
        counters.auditBytes += bytes
        if (verdict === 'proven') counters.auditsPassed += 1
        else if (verdict === 'unreachable') counters.auditsUnreachable += 1
        else counters.auditsFailed += 1
      },
    })
    const measuring: MeasureDependencies = { chunk, prover, locator, own: held, self, log, quietMs }
    const restorer = createRestorer({ chunk, placer, codec, self, own: held, rate, log })
    const repair: SlabRepairDependencies = {
      ...measuring,
      chunk,
      restorer,
      claimHere: (slab, column, ttlMs) => claims.claim(slab, column, ttlMs, self.toString()),
      mayRepair,
    }
    const repairing = new Repairs(
      {
        cohort,
        counters,
        self,
        graceMs: config.vault.repair.graceMs,
        intervalMs,
        rateBytesPerSecond: config.vault.repair.rateBytesPerSecond,
        columnCount: (slab) => columns.get(slab)?.n,
        isFit,
        onTombstoned: () => tombstones.askAll(),
        log,
      },
      repair,
    )
    repairs = repairing
    const surplus = new Surplus({
      columns,
      held,
      prover,
      challenges,
      counters,
      self: self.toString(),
      graceMs: config.vault.repair.graceMs,
      log,
      onRemoved: gone,
    })
    const auditor = new Auditor(
      {
        columns,
        held,
        cohort,
        prover,
        log,
        self,
        intervalMs,
        nowMs,
        onProven: (peer) => familiar.proven(peer),
        onSuspect: (group, slab) => repairing.suspect(group, slab),
        async onSurplus(row, twins) {
          if (!leaving.isLeaving) await surplus.look(row, twins, stopping.signal)
        },
      },
      chunk,
      locator,
      quietMs,
    )
    const walk = new Walk({
      state,
      columns,
      intervalMs,
      isSound: isFit,
      visit(groups, signal) {
        counters.visits += groups.length
        return auditor.visit(groups, isFit, signal)
      },
      log,
    })
    const expiry = new Expiry({
      columns,
      counters,
      intervalMs: Math.min(EXPIRY_INTERVAL_MS, Math.max(1_000, intervalMs)),
      nowMs,
      awakeMs: () => soundness.awakeMs,
      log,
      onRemoved: gone,
    })
    const endGaps = soundness.onGap((awayMs) => {
      log.info({ awayMs }, 'the machine slept or its clock was set')
      repairing.restartWaits()
      tombstones.wasAway(awayMs > AWAY_MS && columns.usage().columns > 0)
    })
    soundness.start()
    tombstones.start(chunk)
    walk.start()
    expiry.start()
    stops.push(
      () => walk.stop(),
      () => expiry.stop(),
      () => repairing.stop(),
      () => tombstones.stop(),
      () => soundness.stop(),
      endGaps,
    )
    return {
      restorer,
      // Somebody asks for it, with a link: whom this node sees, and whether it leaves, is no reason to refuse.
      repair: { ...repair, mayRepair: (slab) => !tombstones.isStale && !columns.isBuried(slab) },
      registerJobs(jobs, pruneOwned) {
        jobs.register(
          pruneJob({ columns, nowMs, awakeMs: () => soundness.awakeMs, onRemoved: gone, pruneOwned }),
        )
        jobs.register(
          leaveJob({
            columns,
            held,
            cohort,
            chunk,
            placer,
            locator,
            measuring,
            self,
            nowMs,
            leaving,
            settled: () => answers.settled(),
            onRemoved: gone,
          }),
        )
      },
    }
  }

  return {
    answers,
    tombstones,
    hinted(slab) {
      const row = columns.get(slab)
      return row === undefined ? [] : cohort.peers(row.group)
    },
    start,
    async stop() {
      stopping.abort()
      await Promise.all(stops.map(async (stop) => stop()))
    },
    problems() {
      if (columns.usage().columns === 0) return []
      const problems = [soundness.problem].filter((problem) => problem !== undefined)
      if (tombstones.isStale)
        problems.push(
          'this node was away and may hold what was deleted meanwhile: it serves and takes no columns until its peers have told it',
        )
      return problems
    },
    statistics: () => ({
      ...counters,
      isStale: tombstones.isStale,
      isLeaving: leaving.isLeaving,
      isSound: soundness.isSound,
      pendingRepairs: repairs?.pending ?? 0,
      doubtfulColumns: cohort.doubtfulColumns(),
    }),
  }
}
