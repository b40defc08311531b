import { setTimeout as sleep } from 'node:timers/promises'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { ChunkRefusedError, ChunkStatus } from '../../../protocols/chunk/errors.ts'
import type { Chunk, SlabId } from '../../../protocols/chunk/types.ts'
import type { JobContext, JobHandler } from '../../jobs/types.ts'
import type { ColumnRow, Columns } from '../../storage/columns/types.ts'
import type { Locator, Placer } from '../contracts.ts'
import { cancelled } from '../restore/errors.ts'
import { ASK_TIMEOUT_MS, LOCATE_TIMEOUT_MS, MAX_HINTED_PEERS, RECEIPT_TIMEOUT_MS } from '../restore/limits.ts'
import { type MeasureDependencies, measure } from '../restore/measure.ts'
import { forEachBounded } from '../restore/pool.ts'
import { repairThreshold } from '../restore/rules.ts'
import type { LeaveParams, LeaveReport } from '../types.ts'
import type { Cohort } from './cohort.ts'
import { handOver } from './handover.ts'
import type { HeldColumns } from './held.ts'
import type { Leaving } from './leaving.ts'
import { HANDOVER_CONCURRENCY, LEAVE_RETRY_MS } from './limits.ts'

export interface LeaveDependencies {
  columns: Columns
  held: HeldColumns
  cohort: Cohort
  chunk: Pick<Chunk, 'store' | 'hint' | 'renew'>
  placer: Pick<Placer, 'candidates'>
  locator: Pick<Locator, 'holders'>
  measuring: MeasureDependencies
  self: PeerId
  nowMs: () => number
  /** From the first moment on nothing is taken any more. */
  leaving: Leaving
  /** Resolves once what was being committed for others is committed. */
  settled(): Promise<void>
  onRemoved: (row: ColumnRow) => void
  retryMs?: number
}

interface Checkpoint {
  version: 1
  handedOver: number
  bytes: number
}

type Fate =
  /** A new holder has given its receipt. */
  | 'handed-over'
  /** Nobody took it, and its slab has more than it needs without it. */
  | 'spare'
  /** Nobody took it, and without it the slab would have to be repaired, or be lost. */
  | 'stuck'

const GROUPS_A_PAGE = 64

/**
 * Hands every column over, verified by receipts. What was handed over is removed here, so that a job that is resumed goes on
 * with the rest. While something is stuck the job waits and tries again; with `force` it ends all the same.
 */
export function leaveJob(dependencies: LeaveDependencies): JobHandler<LeaveParams, LeaveReport> {
  return {
    kind: 'leave',
    concurrency: 1,
    resumable: true,
    title: ({ force }) => (force ? 'leave the network, whatever is lost' : 'leave the network'),
    run: (context) => leave(dependencies, context),
    async discard() {
      // Cancelled: the node stays after all.
      dependencies.leaving.set(false)
    },
  }
}

async function leave(
  dependencies: LeaveDependencies,
  context: JobContext<LeaveParams>,
): Promise<LeaveReport> {
  const { columns, leaving, retryMs = LEAVE_RETRY_MS } = dependencies
  const { signal, params } = context
  leaving.set(true)
  // What was about to be acknowledged then is among what is handed over; what comes later is refused.
  await dependencies.settled()
  const saved = context.checkpoint as Checkpoint | undefined
  const done = { handedOver: saved?.handedOver ?? 0, bytes: saved?.bytes ?? 0 }
  try {
    for (;;) {
      const total = done.handedOver + columns.usage().columns
      const { stuck, spare } = await round(dependencies, context, done, total)
      await context.saveCheckpoint({ version: 1, ...done } satisfies Checkpoint)
      if (stuck === 0 || params.force) {
        leaving.done()
        return { columns: done.handedOver + stuck + spare, ...done, stuck }
      }
      context.waiting(
        `${stuck} columns have no new holder and are needed: connect to more peers that lend storage, or leave with force`,
      )
      await sleep(retryMs, undefined, { signal })
      context.waiting(null)
    }
  } catch (error) {
    throw signal.aborted ? cancelled(error) : error
  }
}

/** Tries every column that is still here once. */
async function round(
  dependencies: LeaveDependencies,
  context: JobContext<LeaveParams>,
  done: { handedOver: number; bytes: number },
  total: number,
): Promise<{ stuck: number; spare: number }> {
  const left = { stuck: 0, spare: 0 }
  let after: SlabId | undefined
  for (;;) {
    const groups = dependencies.columns.groups({
      ...(after === undefined ? {} : { after }),
      limit: GROUPS_A_PAGE,
    })
    after = groups.at(-1)
    if (after === undefined) return left
    for (const group of groups) {
      context.signal.throwIfAborted()
      await leaveGroup(dependencies, group, context.signal, (fate, row) => {
        if (fate === 'handed-over') {
          done.handedOver += 1
          done.bytes += row.columnBytes
        } else left[fate] += 1
        context.progress({
          done: done.handedOver,
          total,
          unit: 'items',
          counters: { bytes: done.bytes, stuck: left.stuck },
        })
      })
      await context.saveCheckpoint({ version: 1, ...done } satisfies Checkpoint)
    }
  }
}

/** All columns of a group go to the same new holder where it takes them: the group stays together. */
async function leaveGroup(
  dependencies: LeaveDependencies,
  group: SlabId,
  signal: AbortSignal,
  onFate: (fate: Fate, row: ColumnRow) => void,
): Promise<void> {
  const { columns, cohort, placer, nowMs } = dependencies
  const rows = columns.ofGroup(group).filter((row) => row.untilMs > nowMs() && !columns.isBuried(row.slab))
  const [first] = rows
  if (first === undefined) return
  const holders = await holdersOf(dependencies, group, rows, signal)
  const candidates = await placer
    .candidates({
      group,
      n: first.n,
      k: first.k,
      columnBytes: Math.max(...rows.map(({ columnBytes }) => columnBytes)),
      purpose: 'handover',
      exclude: new Set([...holders, dependencies.self.toString()]),
      signal,
    })
    .catch(() => {
      signal.throwIfAborted()
      return []
    })
  const peers = candidates.map(({ peer }) => peer)
  const takers = new Set<string>()
  await forEachBounded(rows, HANDOVER_CONCURRENCY, async (row) => {
    const taker = await handOverToAny(dependencies, row, peers, signal)
    if (taker !== undefined) takers.add(taker.toString())
    onFate(taker === undefined ? await fateOf(dependencies, row, [...holders], signal) : 'handed-over', row)
  })
  if (takers.size > 0) await tell(dependencies, group, [...holders], [...takers], signal)
  if (columns.ofGroup(group).length === 0) cohort.forget(group)
}

/** Who says to hold other columns of the group: none of them can take one of the same slab. */
async function holdersOf(
  { locator, cohort }: LeaveDependencies,
  group: SlabId,
  rows: readonly ColumnRow[],
  signal: AbortSignal,
): Promise<Set<string>> {
  const holders = new Set<string>()
  const within = AbortSignal.any([signal, AbortSignal.timeout(LOCATE_TIMEOUT_MS)])
  const slabs = rows.map(({ slab }) => slab)
  try {
    for await (const { peer } of locator.holders(slabs, {
      group,
      hints: cohort.peers(group),
      signal: within,
    })) {
      holders.add(peer.toString())
    }
  } catch {
    signal.throwIfAborted()
  }
  return holders
}

/** Undefined: nobody takes it. A peer that fails is not asked again for this group. */
async function handOverToAny(
  dependencies: LeaveDependencies,
  row: ColumnRow,
  peers: PeerId[],
  signal: AbortSignal,
): Promise<PeerId | undefined> {
  const { columns, chunk, held, onRemoved } = dependencies
  const index = await held.index(row.slab)
  if (index === undefined) return undefined
  // Others of the group take peers off the list meanwhile.
  for (const peer of peers.slice()) {
    if (!peers.includes(peer)) continue
    try {
      let sequence = await handOver(dependencies, row, index, peer, signal)
      while (!(await columns.remove(row.slab, ({ leaseSequence }) => leaseSequence === sequence))) {
        const [current, lease] = [columns.get(row.slab), columns.lease(row.slab)]
        // Deleted meanwhile.
        if (current === undefined || lease === undefined) return peer
        // Renewed meanwhile, which was acknowledged: whoever has the column now gets the newer lease as well.
        const within = AbortSignal.any([signal, AbortSignal.timeout(RECEIPT_TIMEOUT_MS)])
        const [status] = await chunk.renew(peer, [lease], within)
        if (status !== ChunkStatus.ok) throw new ChunkRefusedError(status ?? ChunkStatus.busy)
        sequence = current.leaseSequence
      }
      onRemoved(row)
      return peer
    } catch (error) {
      signal.throwIfAborted()
      const isAboutThisSlab = error instanceof ChunkRefusedError && error.kind !== 'no-space'
      if (!isAboutThisSlab && peers.includes(peer)) peers.splice(peers.indexOf(peer), 1)
    }
  }
  return undefined
}

async function fateOf(
  { measuring, self }: LeaveDependencies,
  row: ColumnRow,
  hints: readonly string[],
  signal: AbortSignal,
): Promise<Fate> {
  const [measured] = await measure(measuring, [row.slab], { group: row.group, hints, signal })
  const others = (measured?.live ?? []).filter(({ peer }) => !peer.equals(self))
  const live = new Set(others.map(({ column }) => column)).size
  return live > repairThreshold(row) ? 'spare' : 'stuck'
}

async function tell(
  { chunk, measuring }: LeaveDependencies,
  group: SlabId,
  holders: readonly string[],
  takers: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const peers = [...new Set([...holders, ...takers])].map((name) => peerIdFromString(name))
  await forEachBounded(peers, HANDOVER_CONCURRENCY, async (peer) => {
    const name = peer.toString()
    const others = (takers.includes(name) ? [...holders, ...takers] : takers).filter(
      (other) => other !== name,
    )
    if (others.length === 0) return
    try {
      await chunk.hint(
        peer,
        { group, peers: others.slice(0, MAX_HINTED_PEERS) },
        AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)]),
      )
    } catch (error) {
      signal.throwIfAborted()
      measuring.log.debug({ peer: name, error: String(error) }, 'a holder was not told of the new one')
    }
  })
}
