import type { Locator } from '../contracts.ts'
import { type DeleterOptions, deleteSlabs } from './deleter.ts'
import { findHolders } from './find-holders.ts'
import type { OwnerSlab, OwnerState, SlabState } from './state.ts'

export interface OwnerPruneOptions extends DeleterOptions {
  state: OwnerState
  locator: Pick<Locator, 'holders'>
}

/**
 * The owner's part of `prune`: slabs that its own state records as abandoned, and deletions that not all holders have
 * confirmed. Nothing is ever deleted because it is absent from the state.
 */
export async function pruneOwned(
  options: OwnerPruneOptions,
  { dryRun, signal }: { dryRun: boolean; signal: AbortSignal },
): Promise<{ abandonedSlabs: number; bytes: number }> {
  const figures = { abandonedSlabs: 0, bytes: 0 }
  for (const slab of slabsIn(options.state, 'abandoned')) {
    figures.abandonedSlabs += 1
    const held = options.state.columnsOf(slab.id).filter(({ counts }) => counts)
    figures.bytes += slab.columnBytes * held.length
  }
  if (dryRun) return figures
  for (const state of ['abandoned', 'deleting'] as const) await deleteIn(options, state, signal)
  return figures
}

/** Tells again of slabs in a state, and forgets those that all have confirmed. Asks the network for more holders unless told not to. */
export async function deleteIn(
  options: OwnerPruneOptions,
  state: SlabState,
  signal: AbortSignal,
  { isSearching = true }: { isSearching?: boolean } = {},
): Promise<void> {
  let after: Uint8Array | undefined
  for (;;) {
    signal.throwIfAborted()
    const page = options.state.slabsInState(state, after)
    after = page.at(-1)?.id
    if (after === undefined) break
    if (isSearching) await findHolders(options, page, signal)
    await deleteSlabs(options, page, signal)
  }
  await options.state.database.write(() => options.state.removeDeleted())
}

function* slabsIn(state: OwnerState, which: SlabState): Generator<OwnerSlab> {
  let after: Uint8Array | undefined
  for (;;) {
    const page = state.slabsInState(which, after)
    yield* page
    after = page.at(-1)?.id
    if (after === undefined) return
  }
}
