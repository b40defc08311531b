import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { PeerId } from '@libp2p/interface'
import type { Chunk, Lease, SlabId, SlabIndex } from '../../../protocols/chunk/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { ColumnAt, Locator } from '../contracts.ts'
import { columnsSaid } from './rules.ts'
import { ASK_TIMEOUT_MS, LOCATE_TIMEOUT_MS, MAX_CLAIMERS_PER_SLAB, MEASURE_CONCURRENCY } from './limits.ts'
import { forEachBounded } from './pool.ts'
import { type Prover, verdictOf } from './prove.ts'

/** This node's own columns, where it is a holder. */
export interface OwnColumns {
  /** What this node holds of the slab, checked to be readable just now. */
  held(slab: SlabId): Promise<{ index: SlabIndex; lease: Lease | undefined; column: ColumnAt } | undefined>
  piece(slab: SlabId, segment: number, options: { signal: AbortSignal }): Promise<Uint8Array | undefined>
}

/** One slab as it was found to be, by asking every holder for a proof. */
export interface Measured {
  slab: SlabId
  /** Undefined where nobody gave a valid one. */
  index: SlabIndex | undefined
  /** The newest that anybody has. */
  lease: Lease | undefined
  /** Proven just now, this node's own column with them; a column may be there twice. */
  live: ColumnAt[]
  /** Said to be held, and not proven. */
  unproven: ColumnAt[]
  /** Columns that nobody proved, ascending. */
  missing: number[]
  /** How many different columns are live. */
  liveColumns: number
}

export interface MeasureDependencies {
  chunk: Pick<Chunk, 'index' | 'lease'>
  prover: Prover
  locator: Locator
  own: OwnColumns | undefined
  self: PeerId
  log: Logger
  /** A look for holders ends when nothing came for so long. */
  quietMs: number
}

export interface MeasureOptions {
  group: SlabId
  hints: readonly string[]
  signal: AbortSignal
  /** Columns of each slab, where this node holds one of them: the look ends when the others are found. */
  n?: number | undefined
}

/** Measures slabs of one group directly: finds who says to hold what, and lets each of them prove it. */
export async function measure(
  dependencies: MeasureDependencies,
  slabs: readonly SlabId[],
  options: MeasureOptions,
): Promise<Measured[]> {
  const { signal } = options
  const said = new Map<string, ColumnAt[]>(slabs.map((slab) => [slabKeyOf(slab), []]))
  await collect(dependencies, said, slabs, options)
  const measured: Measured[] = []
  for (const slab of slabs) {
    signal.throwIfAborted()
    measured.push(await measureSlab(dependencies, slab, said.get(slabKeyOf(slab)) ?? [], signal))
  }
  return measured
}

/**
 * Ends when all columns are said to be held, when nobody new has said anything for a while, or after its time: what was
 * found until then is measured.
 */
async function collect(
  { locator, self, log, quietMs }: MeasureDependencies,
  said: Map<string, ColumnAt[]>,
  slabs: readonly SlabId[],
  { group, hints, signal, n }: MeasureOptions,
): Promise<void> {
  const quiet = new AbortController()
  const looking = AbortSignal.any([signal, quiet.signal, AbortSignal.timeout(LOCATE_TIMEOUT_MS)])
  const timer = setTimeout(() => quiet.abort(), quietMs)
  const seen = new Set<string>()
  try {
    for await (const found of locator.holders(slabs, { group, hints, signal: looking })) {
      const ofSlab = said.get(slabKeyOf(found.slab))
      const id = `${slabKeyOf(found.slab)} ${found.column} ${found.peer.toString()}`
      if (ofSlab === undefined || found.peer.equals(self) || seen.has(id)) continue
      if (ofSlab.length >= MAX_CLAIMERS_PER_SLAB) continue
      timer.refresh()
      seen.add(id)
      ofSlab.push(found)
      if (n !== undefined && [...said.values()].every((columns) => isWhole(columns, n))) break
    }
  } catch (error) {
    signal.throwIfAborted()
    log.debug({ error: String(error) }, 'looking for holders ended early')
  } finally {
    clearTimeout(timer)
  }
}

/** Somebody says to hold each column but this node's own. */
function isWhole(columns: readonly ColumnAt[], n: number): boolean {
  return columnsSaid(columns, n) >= n - 1
}

async function measureSlab(
  dependencies: MeasureDependencies,
  slab: SlabId,
  said: readonly ColumnAt[],
  signal: AbortSignal,
): Promise<Measured> {
  const { prover, own } = dependencies
  const held = await own?.held(slab)
  const index = held?.index ?? (await indexFrom(dependencies, slab, said, signal))
  const live: ColumnAt[] = held === undefined ? [] : [held.column]
  const unproven: ColumnAt[] = []
  if (index === undefined) {
    return {
      slab,
      index,
      lease: held?.lease,
      live,
      unproven: [...said],
      missing: [],
      liveColumns: live.length,
    }
  }
  await forEachBounded(said, MEASURE_CONCURRENCY, async (column) => {
    if (column.column >= index.n || !Buffer.from(column.indexHash).equals(index.hash)) {
      unproven.push(column)
      return
    }
    const verdict = await verdictOf(prover.prove(column.peer, index, column.column, signal))
    signal.throwIfAborted()
    if (verdict === 'proven') live.push(column)
    else unproven.push(column)
  })
  const liveColumns = new Set(live.map(({ column }) => column))
  const missing = Array.from({ length: index.n }, (_, column) => column).filter(
    (column) => !liveColumns.has(column),
  )
  const lease = await newestLease(dependencies, slab, held?.lease, live, signal)
  return { slab, index, lease, live, unproven, missing, liveColumns: liveColumns.size }
}

async function indexFrom(
  { chunk }: MeasureDependencies,
  slab: SlabId,
  said: readonly ColumnAt[],
  signal: AbortSignal,
): Promise<SlabIndex | undefined> {
  for (const { peer } of said) {
    try {
      return await chunk.index(peer, slab, asking(signal))
    } catch {
      signal.throwIfAborted()
    }
  }
  return undefined
}

/** Whoever missed a renewal has an older one, so each is asked. */
async function newestLease(
  { chunk, self }: MeasureDependencies,
  slab: SlabId,
  own: Lease | undefined,
  live: readonly ColumnAt[],
  signal: AbortSignal,
): Promise<Lease | undefined> {
  let newest = own
  await forEachBounded(live, MEASURE_CONCURRENCY, async ({ peer }) => {
    if (peer.equals(self)) return
    const lease = await chunk.lease(peer, slab, asking(signal)).catch(() => undefined)
    if (lease !== undefined && (newest === undefined || lease.sequence > newest.sequence)) newest = lease
  })
  signal.throwIfAborted()
  return newest
}

function asking(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)])
}
