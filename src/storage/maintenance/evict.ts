import { cancelled } from '../errors.ts'
import type { Maintenance } from '../types.ts'
import type { MaintenanceParts } from './maintenance.ts'
import type { EvictStepReply } from './operations.ts'

/** Removes named blocks as a collection removes all: rows in the writer thread, then their files. */
export async function evict(
  { writer, blocks }: Pick<MaintenanceParts, 'writer' | 'blocks'>,
  cids: Parameters<Maintenance['evict']>[0],
  { signal }: Parameters<Maintenance['evict']>[1],
): ReturnType<Maintenance['evict']> {
  let mhs = cids.map(({ multihash }) => multihash.bytes)
  let [removedBlocks, removedBytes, leasedBlocks] = [0, 0, 0]
  while (mhs.length > 0) {
    if (signal.aborted) throw cancelled(signal.reason)
    const step = await writer.call<EvictStepReply>('maintenance.evict', { mhs })
    await blocks.discard(step.removed)
    removedBlocks += step.removed.length
    removedBytes += step.removedBytes
    leasedBlocks += step.leased
    if (step.isPaused) return { removedBlocks, removedBytes, leasedBlocks, isPaused: true }
    mhs = mhs.slice(mhs.length - step.rest)
  }
  return { removedBlocks, removedBytes, leasedBlocks, isPaused: false }
}
