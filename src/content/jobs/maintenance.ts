import type { CID } from 'multiformats/cid'
import { slabKeyOf, slabOf } from '../../../protocols/chunk/format/index.ts'
import type { JobHandler } from '../../jobs/types.ts'
import type { Columns } from '../../storage/columns/types.ts'
import type { CollectionResult, Maintenance, ScrubResult } from '../../storage/types.ts'

/** Removes blocks that nothing refers to. Nothing to resume: the next one finds what this one left. */
export function gcJob(maintenance: Pick<Maintenance, 'collect'>): JobHandler<unknown, CollectionResult> {
  return {
    kind: 'gc',
    concurrency: 1,
    resumable: true,
    title: () => 'collect garbage',
    run: ({ signal, progress }) =>
      maintenance.collect({
        signal,
        onProgress: (removed, removedBytes) =>
          progress({ done: removed, unit: 'blocks', counters: { removedBytes } }),
      }),
  }
}

interface ScrubCheckpoint {
  version: 1
  after: number
  /** What runs before a restart have counted. */
  before: ScrubResult
  /** Once all blocks are checked: the last checked column's slab in hex, and what was counted up to it. */
  columns?: { after: string; before: ColumnsResult }
}

interface ColumnsResult {
  checkedColumns: number
  rottenColumns: number
}

/** How often the position is made durable: a restart repeats at most this much reading. */
const CHECKPOINT_EVERY_MS = 5_000

const NOTHING: ScrubResult = { checkedBlocks: 0, checkedBytes: 0, rottenBlocks: 0, healedBlocks: 0 }
const NO_COLUMNS: ColumnsResult = { checkedColumns: 0, rottenColumns: 0 }

/**
 * Reads every block and fetches good bytes for rotten ones; then every column that is kept for others, whose holders make it
 * again among themselves.
 */
export function scrubJob(
  storage: { maintenance: Pick<Maintenance, 'scrub'>; columns: Pick<Columns, 'scrub' | 'usage'> },
  heal: (cid: CID, signal: AbortSignal) => Promise<Uint8Array | undefined>,
): JobHandler<unknown, ScrubResult & ColumnsResult> {
  return {
    kind: 'scrub',
    concurrency: 1,
    resumable: true,
    title: () => 'check everything that is stored',
    async run(context) {
      let position: ScrubCheckpoint = (context.checkpoint as ScrubCheckpoint | undefined) ?? {
        version: 1,
        after: 0,
        before: NOTHING,
      }
      let lastSavedMs = performance.now()
      let saving: Promise<void> = Promise.resolve()
      const save = (checkpoint: ScrubCheckpoint): void => {
        position = checkpoint
        if (performance.now() - lastSavedMs < CHECKPOINT_EVERY_MS) return
        lastSavedMs = performance.now()
        saving = saving
          .then(() => context.saveCheckpoint(checkpoint))
          .catch((error: unknown) => {
            context.log.warn({ error: String(error) }, 'the position of a scrub could not be saved')
          })
      }

      const { after, before } = position
      const blocks = await storage.maintenance.scrub({
        signal: context.signal,
        after,
        heal,
        onProgress: ({ after, totalBlocks, ...counted }) => {
          const sum = add(before, counted)
          context.progress({
            done: sum.checkedBlocks,
            total: totalBlocks,
            unit: 'blocks',
            counters: { rotten: sum.rottenBlocks },
          })
          save({ ...position, after, before: sum })
        },
      })
      const allBlocks = add(before, blocks)
      position = { ...position, before: allBlocks }

      const earlier = position.columns?.before ?? NO_COLUMNS
      const columns = await storage.columns.scrub({
        signal: context.signal,
        ...(position.columns === undefined ? {} : { after: slabOf(position.columns.after) }),
        onProgress: ({ after, ...counted }) => {
          const sum = addColumns(earlier, counted)
          context.progress({
            done: sum.checkedColumns,
            total: storage.columns.usage().columns,
            unit: 'items',
            counters: { rotten: sum.rottenColumns },
          })
          save({ ...position, columns: { after: slabKeyOf(after), before: sum } })
        },
      })
      await saving
      return { ...allBlocks, ...addColumns(earlier, columns) }
    },
  }
}

function addColumns(left: ColumnsResult, right: ColumnsResult): ColumnsResult {
  return {
    checkedColumns: left.checkedColumns + right.checkedColumns,
    rottenColumns: left.rottenColumns + right.rottenColumns,
  }
}

function add(left: ScrubResult, right: ScrubResult): ScrubResult {
  return {
    checkedBlocks: left.checkedBlocks + right.checkedBlocks,
    checkedBytes: left.checkedBytes + right.checkedBytes,
    rottenBlocks: left.rottenBlocks + right.rottenBlocks,
    healedBlocks: left.healedBlocks + right.healedBlocks,
  }
}
