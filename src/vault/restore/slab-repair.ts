import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { Chunk, SlabId, StorePurpose } from '../../../protocols/chunk/types.ts'
import type { Restorer } from '../contracts.ts'
import { piecesMissing } from './errors.ts'
import {
  ASK_TIMEOUT_MS,
  MAX_CLAIM_TTL_MS,
  MAX_HINTED_PEERS,
  MEASURE_CONCURRENCY,
  MIN_CLAIM_TTL_MS,
} from './limits.ts'
import { type Measured, type MeasureDependencies, measure } from './measure.ts'
import { forEachBounded } from './pool.ts'
import { rendezvousOrder, repairThreshold } from './rules.ts'

export interface SlabRepairDependencies extends MeasureDependencies {
  chunk: Pick<Chunk, 'index' | 'lease' | 'claim' | 'hint'>
  restorer: Restorer
  /** This node's own table, where it is a holder: others who ask it are refused meanwhile. */
  claimHere?: (slab: SlabId, column: number, ttlMs: number) => boolean
  /** Called where nothing may be repaired any more: the slab was deleted, or this node is cut off. */
  mayRepair: (slab: SlabId) => boolean
  onMeasured?: (measured: Measured) => void
}

export interface SlabRepairOptions {
  slab: SlabId
  group: SlabId
  hints: readonly string[]
  /** Columns of the slab, where this node holds one of them. */
  n?: number | undefined
  /** `threshold`: only where so few are live that it must be; `any`: whatever is missing. */
  when: 'threshold' | 'any'
  purpose: StorePurpose
  rateBytesPerSecond?: number
  signal: AbortSignal
}

export interface SlabRepairResult {
  measured: Measured
  outcome:
    | 'healthy'
    /** Somebody else is at it. */
    | 'claimed'
    | 'repaired'
    /** Not to be repaired now. */
    | 'barred'
  restored: { column: number; peer: string }[]
}

/**
 * Measures one slab and makes what is missing again: claims the columns at their co-holders, restores them, and tells
 * everybody who holds them now.
 *
 * @throws ERR_VAULT_PIECES, ERR_TOO_FEW_HOLDERS, ERR_CANCELLED
 */
export async function repairSlab(
  dependencies: SlabRepairDependencies,
  options: SlabRepairOptions,
): Promise<SlabRepairResult> {
  const { slab, group, hints, when, purpose, rateBytesPerSecond, signal } = options
  const { n } = options
  const [measured] = await measure(dependencies, [slab], {
    group,
    hints,
    signal,
    n,
  })
  if (measured === undefined) throw piecesMissing(slab, 0, 1)
  dependencies.onMeasured?.(measured)
  const { index, lease, live, liveColumns, missing } = measured
  if (index === undefined || lease === undefined) throw piecesMissing(slab, liveColumns, index?.k ?? 1)
  const isNeeded = when === 'any' ? missing.length > 0 : liveColumns <= repairThreshold(index)
  if (!isNeeded) return { measured, outcome: 'healthy', restored: [] }
  if (liveColumns < index.k) throw piecesMissing(slab, liveColumns, index.k)
  if (!dependencies.mayRepair(slab)) return { measured, outcome: 'barred', restored: [] }

  const work = index.columnBytes * (index.k + missing.length)
  const ttlMs = claimTtlMs(work, rateBytesPerSecond)
  const claimed = await claimColumns(dependencies, measured, missing, ttlMs, signal)
  if (claimed.length === 0) return { measured, outcome: 'claimed', restored: [] }
  // A long restore keeps its claims.
  const renewal = setInterval(() => {
    void claimColumns(dependencies, measured, claimed, ttlMs, signal).catch(() => undefined)
  }, ttlMs / 2).unref()
  try {
    const restored = await dependencies.restorer.restore({
      index,
      lease: lease.signed,
      columns: claimed,
      held: live,
      avoid: new Set(measured.unproven.map(({ peer }) => peer.toString())),
      purpose,
      ...(rateBytesPerSecond === undefined ? {} : { rateBytesPerSecond }),
      signal,
    })
    const added = restored.map(({ column, peer }) => ({ column, peer: peer.toString() }))
    await tellHolders(dependencies, measured, restored, signal)
    dependencies.log.info(
      { slab: slabKeyOf(slab), live: liveColumns, restored: added.length, of: index.n },
      'columns were made again',
    )
    return { measured, outcome: 'repaired', restored: added }
  } finally {
    clearInterval(renewal)
  }
}

/** Long enough for the work at its rate, and a while for a slow holder. */
export function claimTtlMs(bytes: number, bytesPerSecond = Number.POSITIVE_INFINITY): number {
  const workMs = (bytes / bytesPerSecond) * 1_000
  return Math.min(MAX_CLAIM_TTL_MS, MIN_CLAIM_TTL_MS + 2 * workMs)
}

/**
 * Asks the live co-holders in rendezvous order, which is the same for everybody, so that of two who start together one is
 * refused at the first door. More than half must grant: one that always refuses bars nothing.
 */
export async function claimColumns(
  { chunk, claimHere, self }: SlabRepairDependencies,
  { slab, live }: Measured,
  columns: readonly number[],
  ttlMs: number,
  signal: AbortSignal,
): Promise<number[]> {
  const byName = new Map(live.map(({ peer }) => [peer.toString(), peer]))
  const doors = rendezvousOrder(slab, byName.keys())
    .map((name) => byName.get(name))
    .filter((peer) => peer !== undefined)
  const claimed: number[] = []
  for (const column of columns) {
    let granted = 0
    let refused = 0
    for (const peer of doors) {
      // Whoever cannot win leaves the rest of the doors to the other one.
      if (refused * 2 >= doors.length) break
      const answer = peer.equals(self)
        ? (claimHere?.(slab, column, ttlMs) ?? true)
        : await askClaim(chunk, peer, { slab, column, ttlMs }, signal)
      if (answer === true) granted += 1
      if (answer === false) refused += 1
    }
    if (granted > refused && granted > 0) claimed.push(column)
  }
  return claimed
}

/** Undefined: no answer. */
async function askClaim(
  chunk: Pick<Chunk, 'claim'>,
  peer: Parameters<Chunk['claim']>[0],
  claim: { slab: SlabId; column: number; ttlMs: number },
  signal: AbortSignal,
): Promise<boolean | undefined> {
  try {
    return await chunk.claim(peer, claim, AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)]))
  } catch {
    signal.throwIfAborted()
    return undefined
  }
}

/** New holders hear of all, the others of the new ones. Who misses it finds them in the DHT. */
async function tellHolders(
  { chunk, self, log }: SlabRepairDependencies,
  { live, index }: Measured,
  restored: Awaited<ReturnType<Restorer['restore']>>,
  signal: AbortSignal,
): Promise<void> {
  if (index === undefined) return
  const { group } = index
  const old = live.map(({ peer }) => peer)
  const added = restored.map(({ peer }) => peer)
  const names = [...old, ...added].map((peer) => peer.toString())
  const hints = [
    ...old.map((peer) => ({ peer, peers: added.map((other) => other.toString()) })),
    ...added.map((peer) => ({ peer, peers: names })),
  ].filter(({ peer }) => !peer.equals(self))
  await forEachBounded(hints, MEASURE_CONCURRENCY, async ({ peer, peers }) => {
    const others = peers.filter((name) => name !== peer.toString()).slice(0, MAX_HINTED_PEERS)
    if (others.length === 0) return
    try {
      await chunk.hint(
        peer,
        { group, peers: others },
        AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)]),
      )
    } catch (error) {
      signal.throwIfAborted()
      log.debug({ peer: peer.toString(), error: String(error) }, 'a holder was not told of the others')
    }
  })
}
