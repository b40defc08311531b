import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { SlabId } from '../../../protocols/chunk/types.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { JobContext, JobHandler } from '../../jobs/types.ts'
import type { Manifests } from '../contracts.ts'
import type { Link, RepairParams, RepairResult } from '../types.ts'
import { cancelled } from './errors.ts'
import { repairSlab, type SlabRepairDependencies } from './slab-repair.ts'

export interface RepairJobDependencies {
  manifests: Manifests
  /** @throws ERR_LINK_INVALID, ERR_LINK_CHECKSUM */
  parseLink: (text: string) => Link
  repair: SlabRepairDependencies
  /** Links that are repaired at once. */
  concurrency: number
}

interface Checkpoint {
  version: 1
  /** Slabs that are done, in the order of the map. */
  done: number
  repaired: number
  missing: number
}

/**
 * Makes every missing column of a link's slabs again: the manifest's first, without which there is no file. Works with the
 * verify key alone. One slab that cannot be helped keeps none of the others from being.
 */
export function repairJob(dependencies: RepairJobDependencies): JobHandler<RepairParams, RepairResult> {
  return {
    kind: 'repair',
    concurrency: dependencies.concurrency,
    resumable: true,
    title: () => 'repair a private file',
    run: (context) => run(dependencies, context),
  }
}

async function run(
  { manifests, parseLink, repair }: RepairJobDependencies,
  context: JobContext<RepairParams>,
): Promise<RepairResult> {
  const { signal, params } = context
  try {
    const link = parseLink(params.link)
    const { map, hints } = await manifests.open(link, signal)
    const slabs: { slab: SlabId; group: SlabId }[] = [{ slab: link.slab, group: link.slab }]
    for (const group of map.groups) {
      for (const slab of group.slabs) slabs.push({ slab, group: group.id })
    }
    const saved = context.checkpoint as Checkpoint | undefined
    const state: Checkpoint = saved ?? { version: 1, done: 0, repaired: 0, missing: 0 }
    let lost: unknown
    for (const { slab, group } of slabs.slice(state.done)) {
      signal.throwIfAborted()
      try {
        const { restored, missing } = await repairOne(repair, { slab, group, hints, signal })
        state.repaired += restored
        state.missing += missing
      } catch (error) {
        signal.throwIfAborted()
        if (!isLost(error)) throw error
        context.log.warn({ slab: slabKeyOf(slab), error: String(error) }, 'a slab has too few pieces')
        lost ??= error
      }
      state.done += 1
      context.progress({
        done: state.done,
        total: slabs.length,
        unit: 'items',
        counters: { repaired: state.repaired, missing: state.missing },
      })
      // What was lost is looked at again by a job that is resumed.
      if (lost === undefined) await context.saveCheckpoint({ ...state })
    }
    if (lost !== undefined) throw lost
    return { slabs: slabs.length, repaired: state.repaired, missing: state.missing }
  } catch (error) {
    throw signal.aborted ? cancelled(error) : error
  }
}

async function repairOne(
  repair: SlabRepairDependencies,
  options: { slab: SlabId; group: SlabId; hints: readonly string[]; signal: AbortSignal },
): Promise<{ restored: number; missing: number }> {
  let missing = 0
  try {
    const { measured, restored } = await repairSlab(
      { ...repair, onMeasured: (found) => (missing = found.missing.length) },
      { ...options, when: 'any', purpose: 'repair' },
    )
    return { restored: restored.length, missing: measured.missing.length - restored.length }
  } catch (error) {
    if (error instanceof P2pnodeError && error.code === 'ERR_TOO_FEW_HOLDERS') return { restored: 0, missing }
    throw error
  }
}

function isLost(error: unknown): boolean {
  return error instanceof P2pnodeError && error.code === 'ERR_VAULT_PIECES'
}
