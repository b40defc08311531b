import type { CID } from 'multiformats/cid'
import type { JobHandler } from '../../jobs/types.ts'
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
}

/** How often the position is made durable: a restart repeats at most this much reading. */
const CHECKPOINT_EVERY_MS = 5_000

const NOTHING: ScrubResult = { checkedBlocks: 0, checkedBytes: 0, rottenBlocks: 0, healedBlocks: 0 }

/** Reads every block and fetches good bytes for rotten ones. */
export function scrubJob(
  maintenance: Pick<Maintenance, 'scrub'>,
  heal: (cid: CID, signal: AbortSignal) => Promise<Uint8Array | undefined>,
): JobHandler<unknown, ScrubResult> {
  return {
    kind: 'scrub',
    concurrency: 1,
    resumable: true,
    title: () => 'check every block',
    async run(context) {
      const saved = context.checkpoint as ScrubCheckpoint | undefined
      const before = saved?.before ?? NOTHING
      let lastSavedMs = performance.now()
      let saving: Promise<void> = Promise.resolve()
      const result = await maintenance.scrub({
        signal: context.signal,
        ...(saved === undefined ? {} : { after: saved.after }),
        heal,
        onProgress: ({ after, checkedBlocks, totalBlocks, rottenBlocks }) => {
          context.progress({
            done: before.checkedBlocks + checkedBlocks,
            total: totalBlocks,
            unit: 'blocks',
            counters: { rotten: before.rottenBlocks + rottenBlocks },
          })
          if (performance.now() - lastSavedMs < CHECKPOINT_EVERY_MS) return
          lastSavedMs = performance.now()
          const checkpoint: ScrubCheckpoint = {
            version: 1,
            after,
            before: add(before, { ...NOTHING, checkedBlocks, rottenBlocks }),
          }
          saving = saving
            .then(() => context.saveCheckpoint(checkpoint))
            .catch((error: unknown) => {
              context.log.warn({ error: String(error) }, 'the position of a scrub could not be saved')
            })
        },
      })
      await saving
      return add(before, result)
    },
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
