import type { PeerId } from '@libp2p/interface'
import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import { ChunkRefusedError, ChunkStatus } from '../../../protocols/chunk/errors.ts'
import type { SlabId } from '../../../protocols/chunk/types.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { Logger } from '../../telemetry/types.ts'
import { MIN_CLAIM_TTL_MS } from '../restore/limits.ts'
import { type Measured, measure } from '../restore/measure.ts'
import { rankOf, repairDelayMs, repairThreshold } from '../restore/rules.ts'
import { repairSlab, type SlabRepairDependencies } from '../restore/slab-repair.ts'
import type { Cohort } from './cohort.ts'
import type { Counters } from './counters.ts'
import { MAX_PENDING_REPAIRS, REPAIR_CONCURRENCY, SUSPECT_CONCURRENCY } from './limits.ts'

export interface RepairsOptions {
  cohort: Cohort
  counters: Counters
  self: PeerId
  graceMs: number
  /** Between two audits of a column: the pause before a repair that failed is tried again. */
  intervalMs: number
  rateBytesPerSecond: number
  /** How many columns a slab has that is held here. */
  columnCount: (slab: SlabId) => number | undefined
  /** Whether this node may repair anything now: it sees its peers, knows of deletions, and does not leave. */
  isFit: () => boolean
  /** A peer that refuses a column as deleted knows what this node does not. */
  onTombstoned: () => void
  log: Logger
  random?: () => number
  monotonicMs?: () => number
}

/** A slab that this node looks into, or is going to repair. */
interface Pending {
  group: SlabId
  slab: SlabId
  state: 'suspect' | 'waiting' | 'busy'
  /** By the monotonic clock, which no setting of the wall clock moves. */
  dueAtMs: number
  rank: number
  /** How often a repair was begun and did not come to its end. */
  failures: number
}

/** A repair that failed so often is left to the looks, which find the slab again. */
const MAX_FAILURES = 12

/**
 * What happens from a suspicion to new columns: all columns of the slab are measured, and where too few are live this node
 * waits for its turn among the live holders, measures again, claims and restores. Waits are in memory: after a restart
 * the next looks find the slab again.
 */
export class Repairs {
  readonly #options: Required<RepairsOptions>
  readonly #dependencies: SlabRepairDependencies
  readonly #pending = new Map<string, Pending>()
  readonly #stop = new AbortController()
  #measuring = 0
  #repairing = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: RepairsOptions, dependencies: SlabRepairDependencies) {
    this.#options = { random: Math.random, monotonicMs: () => performance.now(), ...options }
    this.#dependencies = dependencies
  }

  /** Slabs that wait or are being worked on. */
  get pending(): number {
    return this.#pending.size
  }

  /** A column of the slab has stayed unproven for two intervals. */
  suspect(group: SlabId, slab: SlabId): void {
    const key = slabKeyOf(slab)
    if (this.#stop.signal.aborted || this.#pending.has(key)) return
    if (this.#pending.size >= MAX_PENDING_REPAIRS) return
    const dueAtMs = this.#options.monotonicMs()
    this.#pending.set(key, { group, slab, state: 'suspect', dueAtMs, rank: 0, failures: 0 })
    this.#schedule()
  }

  /** After a gap in which others may have come back unseen, everybody gets the whole grace again. */
  restartWaits(): void {
    for (const pending of this.#pending.values()) {
      if (pending.state === 'waiting') pending.dueAtMs = this.#dueAtMs(pending.rank)
    }
    this.#schedule()
  }

  /** Nothing more is known or done about the slab: it was deleted, or is no longer held. */
  forget(slab: SlabId): void {
    const key = slabKeyOf(slab)
    if (this.#pending.get(key)?.state !== 'busy') this.#pending.delete(key)
  }

  stop(): void {
    this.#stop.abort()
    clearTimeout(this.#timer)
    this.#pending.clear()
  }

  #dueAtMs(rank: number): number {
    const { graceMs, random, monotonicMs } = this.#options
    return monotonicMs() + repairDelayMs(graceMs, rank, random())
  }

  /** Starts what is due, as far as there are hands for it, and wakes for the next. */
  #schedule(): void {
    clearTimeout(this.#timer)
    if (this.#stop.signal.aborted) return
    const nowMs = this.#options.monotonicMs()
    let nextMs = Number.POSITIVE_INFINITY
    for (const pending of this.#pending.values()) {
      if (pending.state === 'busy') continue
      if (pending.dueAtMs > nowMs) nextMs = Math.min(nextMs, pending.dueAtMs)
      else if (pending.state === 'suspect') {
        if (this.#measuring < SUSPECT_CONCURRENCY) void this.#measure(pending)
      } else if (this.#repairing < REPAIR_CONCURRENCY) void this.#repair(pending)
    }
    if (nextMs === Number.POSITIVE_INFINITY) return
    // Node's timers hold 24 days at the most; a wait is looked at again before that.
    this.#timer = setTimeout(() => this.#schedule(), Math.min(nextMs - nowMs, 86_400_000) + 1).unref()
  }

  async #measure(pending: Pending): Promise<void> {
    this.#measuring += 1
    pending.state = 'busy'
    try {
      const measured = await this.#look(pending)
      if (measured === undefined || !this.#isInNeed(measured)) this.#drop(pending)
      else this.#wait(pending, measured)
    } catch (error) {
      this.#options.log.debug(
        { slab: slabKeyOf(pending.slab), error: String(error) },
        'a slab was not measured',
      )
      this.#drop(pending)
    } finally {
      this.#measuring -= 1
      this.#schedule()
    }
  }

  async #look({ slab, group }: Pending): Promise<Measured | undefined> {
    const { cohort, counters, isFit } = this.#options
    if (!isFit()) return undefined
    const [measured] = await measure(this.#dependencies, [slab], {
      group,
      hints: cohort.peers(group),
      n: this.#options.columnCount(slab),
      signal: this.#stop.signal,
    })
    counters.slabsMeasured += 1
    // New holders of columns that others have rebuilt, found in the DHT.
    cohort.answered(group, othersOf(measured?.live ?? [], this.#options.self))
    return measured
  }

  /** Fewer than k live: nobody can do anything until some come back, which the looks will see. */
  #isInNeed({ index, liveColumns }: Measured): boolean {
    return index !== undefined && liveColumns >= index.k && liveColumns <= repairThreshold(index)
  }

  #wait(pending: Pending, { live, slab }: Measured): void {
    const self = this.#options.self.toString()
    const names = live.map(({ peer }) => peer.toString())
    // Whoever is not a live holder any more, its own column being rotten, leaves it to the others.
    if (!names.includes(self)) {
      this.#drop(pending)
      return
    }
    pending.rank = rankOf(slab, self, names)
    pending.state = 'waiting'
    pending.dueAtMs = this.#dueAtMs(pending.rank)
    const { log, monotonicMs } = this.#options
    const inMs = Math.round(pending.dueAtMs - monotonicMs())
    log.info(
      { slab: slabKeyOf(slab), live: live.length, rank: pending.rank, inMs },
      'a slab is to be repaired',
    )
  }

  async #repair(pending: Pending): Promise<void> {
    this.#repairing += 1
    pending.state = 'busy'
    try {
      if (!this.#options.isFit()) {
        this.#again(pending, this.#dueAtMs(pending.rank))
        return
      }
      await this.#run(pending)
    } catch (error) {
      this.#failed(pending, error)
    } finally {
      this.#repairing -= 1
      this.#schedule()
    }
  }

  async #run(pending: Pending): Promise<void> {
    const { cohort, counters, rateBytesPerSecond, monotonicMs, random } = this.#options
    const { slab, group } = pending
    counters.repairsStarted += 1
    const { outcome, restored, measured } = await repairSlab(this.#dependencies, {
      slab,
      group,
      hints: cohort.peers(group),
      n: this.#options.columnCount(slab),
      when: 'threshold',
      purpose: 'repair',
      rateBytesPerSecond,
      signal: this.#stop.signal,
    })
    counters.columnsRebuilt += restored.length
    cohort.answered(group, othersOf(measured.live, this.#options.self))
    if (restored.length > 0)
      cohort.told(
        group,
        restored.map(({ peer }) => peer),
      )
    // What somebody else has claimed is looked at again when its claim must have ended.
    if (outcome === 'claimed') this.#again(pending, monotonicMs() + MIN_CLAIM_TTL_MS * (1 + random()))
    else if (outcome === 'barred') this.#again(pending, this.#dueAtMs(pending.rank))
    else if (outcome === 'repaired' && restored.length < measured.missing.length) this.#retryLater(pending)
    else this.#drop(pending)
  }

  #failed(pending: Pending, error: unknown): void {
    if (this.#stop.signal.aborted) return
    const { log, counters, onTombstoned } = this.#options
    counters.repairsFailed += 1
    const slab = slabKeyOf(pending.slab)
    if (error instanceof ChunkRefusedError && error.status === ChunkStatus.tombstoned) {
      log.info({ slab }, 'a slab to be repaired was deleted by its owner')
      onTombstoned()
      this.#drop(pending)
      return
    }
    const reason = error instanceof P2pnodeError ? error.code : String(error)
    log.warn({ slab, reason }, 'a slab could not be repaired now')
    this.#retryLater(pending)
  }

  #retryLater(pending: Pending): void {
    const { intervalMs, monotonicMs, random } = this.#options
    this.#again(pending, monotonicMs() + intervalMs * (1 + random()) * Math.min(8, 2 ** pending.failures))
  }

  #again(pending: Pending, dueAtMs: number): void {
    pending.failures += 1
    if (pending.failures > MAX_FAILURES) {
      this.#drop(pending)
      return
    }
    pending.state = 'waiting'
    pending.dueAtMs = dueAtMs
  }

  #drop({ slab }: Pending): void {
    this.#pending.delete(slabKeyOf(slab))
  }
}

function othersOf(live: Measured['live'], self: PeerId): string[] {
  return live.filter(({ peer }) => !peer.equals(self)).map(({ peer }) => peer.toString())
}
