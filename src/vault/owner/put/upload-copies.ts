import { join } from 'node:path'
import { type Signer, signLease } from '../../../../protocols/chunk/format/index.ts'
import type { SlabId } from '../../../../protocols/chunk/types.ts'
import type { EncodedSegment } from '../../codec/index.ts'
import type { OwnerDependencies } from './dependencies.ts'
import type { GroupHolders } from './group-holders.ts'
import { SlabUpload, type StoredSlab } from './slab-upload.ts'
import { Spool } from './spool.ts'
import { newStages } from './stages.ts'

export interface CopiesOptions {
  slab: SlabId
  signer: Signer
  pieces: readonly { bytes: Uint8Array; root: Uint8Array }[]
  /** How many columns, all the same. */
  n: number
  group: GroupHolders
  lease: { untilMs: number; sequence: number }
  onReplaced?: () => void
  signal: AbortSignal
}

/** Brings a slab that is sealed already to its holders, each of which keeps the whole of it: manifests, versions of the state. */
export async function uploadCopies(
  dependencies: Pick<
    OwnerDependencies,
    'state' | 'networkName' | 'chunk' | 'codec' | 'trust' | 'log' | 'workFolder'
  >,
  { slab, signer, pieces, n, group, lease, onReplaced, signal }: CopiesOptions,
): Promise<StoredSlab> {
  const { state, networkName, workFolder } = dependencies
  const redundancy = { k: 1, n }
  const spool = await Spool.create(join(workFolder, 'spool'), slab, redundancy)
  const upload = new SlabUpload({
    ...dependencies,
    slab,
    signer,
    redundancy,
    group,
    lease: signLease(signer, networkName, lease).signed,
    maxColumnBytes: pieces.reduce((sum, { bytes }) => sum + bytes.length, 0),
    spool,
    stages: newStages(),
    onHolder: (column, peer) => state.database.writeRelaxed(() => state.insertColumn(slab, column, peer)),
    onReplaced: () => onReplaced?.(),
    signal,
  })
  try {
    for (const { bytes, root } of pieces) await upload.add(copies(bytes, root, n))
    return await upload.finish()
  } catch (error) {
    await upload.abort(error as Error)
    throw error
  } finally {
    await spool.remove()
  }
}

function copies(bytes: Uint8Array, root: Uint8Array, n: number): EncodedSegment {
  return {
    mode: 0,
    sealedBytes: bytes.length,
    pieces: Array.from({ length: n }, () => bytes),
    roots: Array.from({ length: n }, () => root),
    stageMs: { compress: 0, seal: 0, encode: 0, hash: 0 },
  }
}
