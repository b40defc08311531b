import { keyOf } from './hashes.ts'
import type { RemovedBlock } from './internal.ts'
import { PLACE_FILE } from './schema.ts'
import type { Tiers } from './tiers.ts'

/** Files removed at a time after a collection: half of libuv's four threads, so that puts and reads go on. */
const REMOVALS_AT_A_TIME = 2

/** Forgets blocks whose rows were deleted, and removes their files, unless they were put again meanwhile. */
export async function discard(tiers: Tiers, removed: readonly RemovedBlock[]): Promise<void> {
  for (const { mh } of removed) tiers.memory.delete(keyOf(mh))
  const files = removed.filter(({ isFile }) => isFile)
  for (let start = 0; start < files.length; start += REMOVALS_AT_A_TIME) {
    const step = files.slice(start, start + REMOVALS_AT_A_TIME)
    await Promise.all(
      step.map(({ mh }) =>
        removeOrphan(tiers, mh).catch((error: unknown) => {
          // Also where the store closes meanwhile.
          tiers.files.leaveBehind()
          tiers.log.warn({ err: error }, 'a removed block left its file; it is swept after the next start')
        }),
      ),
    )
  }
}

/** Removes the file of a block that has no row saying so. A put of the block goes before or after. True where it did. */
export function removeOrphan(tiers: Tiers, mh: Uint8Array): Promise<boolean> {
  return tiers.locks.run(keyOf(mh), async () => {
    tiers.assertOpen()
    return removeUnlessHeld(tiers, mh)
  })
}

/** The caller holds the block's lock. */
export async function removeUnlessHeld({ index, files }: Tiers, mh: Uint8Array): Promise<boolean> {
  if (index.find(mh)?.place === PLACE_FILE) return false
  await files.remove(mh)
  return true
}
