import { setTimeout as delay } from 'node:timers/promises'
import { cancelled } from '../errors.ts'
import type { CollectionResult, Maintenance } from '../types.ts'
import type { MaintenanceParts } from './maintenance.ts'
import type { CollectStepReply } from './operations.ts'

/** How often a collection that waits for the walk of a pin looks again. */
const PAUSE_MS = 50

/**
 * Removes blocks without references, some at a time: the writer thread deletes rows (operations.ts), then `discard`
 * removes the files, under the lock of each block, unless the block was put again meanwhile.
 *
 * Kept are blocks with a reference, blocks marked since the oldest open lease was opened, and blocks marked after this
 * collection began, so that it ends however much is put meanwhile. Files count no more towards the quota once their rows are
 * gone. Pages that become free take new blocks at once, for which the quota then counts no growth; at the end they are
 * given back to the file system, and usage falls by them.
 */
export async function collect(
  { writer, blocks, pins, log }: MaintenanceParts,
  { signal, onProgress }: Parameters<Maintenance['collect']>[0],
): Promise<CollectionResult> {
  const throwIfAborted = (): void => {
    if (signal.aborted) throw cancelled(signal.reason)
  }
  throwIfAborted()
  await pins.resume()
  const horizon = await writer.call<number>('maintenance.horizon', {})
  let removedBlocks = 0
  let removedBytes = 0
  for (;;) {
    throwIfAborted()
    const step = await writer.call<CollectStepReply>('maintenance.collect', { horizon })
    if (step.state === 'done') break
    if (step.state === 'paused') {
      log.debug('the collection waits while a pin is being counted')
      await delay(PAUSE_MS, undefined, { signal, ref: false }).catch(() => {})
      continue
    }
    // Also when the signal has aborted: files whose rows are gone would lie about until the next start sweeps them.
    await blocks.discard(step.removed)
    removedBlocks += step.removed.length
    removedBytes += step.removedBytes
    onProgress?.(removedBlocks, removedBytes)
  }
  await writer.call('blocks.vacuum', {}, { signal })
  return { removedBlocks, removedBytes, keptBlocks: writer.figures.blocks }
}
