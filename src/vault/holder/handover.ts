import type { PeerId } from '@libp2p/interface'
import type { Chunk, SlabIndex } from '../../../protocols/chunk/types.ts'
import { ChunkRefusedError, ChunkStatus } from '../../../protocols/chunk/errors.ts'
import type { ColumnRow, Columns } from '../../storage/columns/types.ts'
import { RECEIPT_TIMEOUT_MS, STORE_OPEN_TIMEOUT_MS } from '../restore/limits.ts'

export interface HandoverDependencies {
  chunk: Pick<Chunk, 'store'>
  columns: Pick<Columns, 'get' | 'lease' | 'piece'>
}

/**
 * Gives one column to a peer; resolves once its receipt was verified, with the number of the lease that went with it.
 *
 * @throws ChunkRefusedError and errors of the stream
 */
export async function handOver(
  { chunk, columns }: HandoverDependencies,
  row: ColumnRow,
  index: SlabIndex,
  peer: PeerId,
  signal: AbortSignal,
): Promise<number> {
  const lease = columns.lease(row.slab)
  const sequence = columns.get(row.slab)?.leaseSequence
  if (lease === undefined || sequence === undefined) throw new ChunkRefusedError(ChunkStatus.notHeld)
  const stream = await chunk.store(
    peer,
    {
      publicKey: index.publicKey,
      group: row.group,
      column: row.column,
      k: row.k,
      n: row.n,
      maxColumnBytes: index.columnBytes,
      lease,
      purpose: 'handover',
    },
    AbortSignal.any([signal, AbortSignal.timeout(STORE_OPEN_TIMEOUT_MS)]),
  )
  try {
    for (let segment = 0; segment < index.sealedBytes.length; segment++) {
      const piece = await columns.piece(row.slab, segment, { signal })
      if (piece === undefined) throw new ChunkRefusedError(ChunkStatus.notHeld)
      await stream.write(piece, signal)
    }
    await stream.finish(index, AbortSignal.any([signal, AbortSignal.timeout(RECEIPT_TIMEOUT_MS)]))
    return sequence
  } catch (error) {
    stream.abort(error as Error)
    throw error
  }
}
