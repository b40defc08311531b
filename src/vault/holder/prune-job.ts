import type { SlabId } from '../../../protocols/chunk/types.ts'
import { Pacer } from '../../../protocols/shared/pacer.ts'
import type { JobHandler } from '../../jobs/types.ts'
import type { ColumnRow, Columns } from '../../storage/columns/types.ts'
import type { PruneParams, PruneReport } from '../types.ts'
import { mayExpire } from './expiry.ts'

/** The owner's part: slabs that its own state records as abandoned. */
export type PruneOwned = (options: {
  dryRun: boolean
  signal: AbortSignal
}) => Promise<{ abandonedSlabs: number; bytes: number }>

export interface PruneDependencies {
  columns: Pick<Columns, 'list' | 'remove' | 'isBuried' | 'sweep'>
  nowMs: () => number
  /** How long this node has been awake with a clock that nobody set. */
  awakeMs: () => number
  onRemoved: (row: ColumnRow) => void
  pruneOwned: PruneOwned
}

const ROWS_A_PAGE = 256

/** Removes what nobody has a right to any more: on this node as a holder, and of its own owner's. */
export function pruneJob(dependencies: PruneDependencies): JobHandler<PruneParams, PruneReport> {
  return {
    kind: 'prune',
    concurrency: 1,
    resumable: true,
    title: ({ dryRun }) => (dryRun ? 'see what prune would remove' : 'remove what is not needed any more'),
    async run({ params: { dryRun }, signal, progress }) {
      const held = await pruneHeld(dependencies, dryRun, signal, (done) => progress({ done, unit: 'items' }))
      const { orphans, bytes } = await dependencies.columns.sweep({ dryRun, signal })
      const owned = await dependencies.pruneOwned({ dryRun, signal })
      return { held: { ...held, orphaned: orphans, bytes: held.bytes + bytes }, owned, dryRun }
    },
  }
}

async function pruneHeld(
  { columns, nowMs, awakeMs, onRemoved }: PruneDependencies,
  dryRun: boolean,
  signal: AbortSignal,
  onProgress: (done: number) => void,
): Promise<{ expired: number; tombstoned: number; bytes: number }> {
  const pacer = new Pacer()
  const found = { expired: 0, tombstoned: 0, bytes: 0 }
  let seen = 0
  let after: SlabId | undefined
  for (;;) {
    const rows = columns.list({ ...(after === undefined ? {} : { after }), limit: ROWS_A_PAGE })
    after = rows.at(-1)?.slab
    if (after === undefined) return found
    for (const row of rows) {
      signal.throwIfAborted()
      const isBuried = columns.isBuried(row.slab)
      const mayGo = (current: ColumnRow): boolean =>
        isBuried || mayExpire(current, { nowMs: nowMs(), awakeMs: awakeMs() })
      // As by itself: a clock that is wrong now must not cost every column because somebody prunes.
      if (!mayGo(row) || (!dryRun && !(await columns.remove(row.slab, mayGo)))) continue
      if (!dryRun) onRemoved(row)
      if (isBuried) found.tombstoned += 1
      else found.expired += 1
      found.bytes += row.columnBytes
    }
    seen += rows.length
    onProgress(seen)
    await pacer.breathe()
  }
}
