import { rm } from 'node:fs/promises'
import type { JobContext, JobHandler } from '../../jobs/types.ts'
import { parseLink } from '../codec/index.ts'
import type { Locator, Tombstones } from '../contracts.ts'
import type { RmParams, RmResult } from '../types.ts'
import { type DeleterOptions, deleteSlabs } from './deleter.ts'
import { notOwned, objectBusy } from './errors.ts'
import { findHolders } from './find-holders.ts'
import { MAX_PENDING_PEERS, SLABS_A_DELETION } from './limits.ts'
import { manifestPathOf } from './put/manifest-step.ts'
import type { OwnerObject, OwnerState } from './state.ts'

export interface RmDependencies extends DeleterOptions {
  state: OwnerState
  locator: Pick<Locator, 'holders'>
  tombstones: Tombstones
  manifestsFolder: string
  onChange(): void
}

/**
 * The `rm` job: the owner's signed deletion to every holder that is known or found, then to everybody by gossip. The object is
 * listed as `deleting` until all holders have confirmed, or the leases have ended.
 */
export function rmJob(dependencies: RmDependencies): JobHandler<RmParams, RmResult> {
  return {
    kind: 'rm',
    concurrency: 1,
    resumable: true,
    title: () => 'delete a private file',
    run: (context) => run(dependencies, context),
  }
}

interface Checkpoint {
  version: 1
  id: string
  name: string
  objectVersion: number
  confirmed: number
  pending: number
  pendingPeers: string[]
  slabs: number
  after: string
}

async function run(dependencies: RmDependencies, context: JobContext<RmParams>): Promise<RmResult> {
  const { state, tombstones } = dependencies
  const { signal } = context
  const saved = context.checkpoint as Checkpoint | undefined
  const begun = saved ?? (await begin(dependencies, context))
  await markDeleted(dependencies, begun.id)
  let { confirmed, pending, slabs } = begun
  const pendingPeers = new Set(begun.pendingPeers)
  for (let after: Uint8Array = Buffer.from(begun.after, 'hex'); ; ) {
    signal.throwIfAborted()
    const page = state.deletingOf(begun.id, after, SLABS_A_DELETION)
    const last = page.at(-1)
    if (last === undefined) break
    await findHolders(dependencies, page, signal)
    // To everybody before a slab that all known holders have confirmed is forgotten here: nobody else would hear of it any more.
    const result = await deleteSlabs(dependencies, page, signal, (deletions) =>
      tombstones.spread(deletions, signal),
    )
    confirmed += result.confirmed
    pending += result.pending
    slabs += page.length
    for (const peer of result.pendingPeers) if (pendingPeers.size < MAX_PENDING_PEERS) pendingPeers.add(peer)
    after = last.id
    const checkpoint: Checkpoint = {
      ...begun,
      confirmed,
      pending,
      slabs,
      pendingPeers: [...pendingPeers],
      after: Buffer.from(after).toString('hex'),
    }
    await context.saveCheckpoint(checkpoint)
    context.progress({ done: slabs, unit: 'items', counters: { confirmed, pending } })
  }
  await state.database.write(() => state.removeDeleted())
  const { id, name, objectVersion } = begun
  return { id, name, version: objectVersion, slabs, confirmed, pending, pendingPeers: [...pendingPeers] }
}

async function begin({ state }: RmDependencies, context: JobContext<RmParams>): Promise<Checkpoint> {
  const object = state.objectOfManifest(parseLink(context.params.link).slab)
  if (object === undefined) throw notOwned()
  if (object.state === 'putting') throw objectBusy(object.name)
  const checkpoint = checkpointOf(object)
  await context.saveCheckpoint(checkpoint)
  return checkpoint
}

/** From here on the object is deleted, whatever happens: its slabs are told off, now or later. Done twice, it is the same. */
async function markDeleted({ state, manifestsFolder, onChange }: RmDependencies, id: string): Promise<void> {
  const object = state.object(id)
  if (object === undefined) return
  await state.database.write(() => {
    state.deleteAll(id)
    state.setObjectState(id, 'deleting')
    state.noteDeleted(id, Date.now())
  })
  // Its key opens nothing any more.
  await rm(manifestPathOf({ manifestsFolder }, object), { force: true })
  onChange()
}

function checkpointOf({ id, name, version }: OwnerObject): Checkpoint {
  return {
    version: 1,
    id,
    name,
    objectVersion: version,
    confirmed: 0,
    pending: 0,
    pendingPeers: [],
    slabs: 0,
    after: '',
  }
}
