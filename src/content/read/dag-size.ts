import * as dagPb from '@ipld/dag-pb'
import type { CID } from 'multiformats/cid'
import type { Blocks } from '../../storage/types.ts'
import { blockNotFound } from '../errors.ts'
import { walkDag } from './car.ts'

/**
 * Bytes of everything below a root that is held: for UnixFS what its links say, for other formats by looking.
 *
 * @throws ERR_NOT_FOUND where a block of it is not held
 */
export async function dagSize(blocks: Pick<Blocks, 'get'>, cid: CID, signal: AbortSignal): Promise<number> {
  const reader = {
    get: async (wanted: CID): Promise<Uint8Array> => {
      const bytes = await blocks.get(wanted, { signal })
      if (bytes === undefined) throw blockNotFound(wanted, [{ step: 'local', answer: 'not held' }])
      return bytes
    },
  }
  const root = await reader.get(cid)
  if (cid.code === dagPb.code) {
    const sizes = dagPb.decode(root).Links.map(({ Tsize }) => Tsize)
    if (sizes.every((size) => size !== undefined)) return sizes.reduce((sum, size) => sum + size, root.length)
  }
  let sizeBytes = 0
  for await (const { bytes } of walkDag(reader, cid, signal)) sizeBytes += bytes.length
  return sizeBytes
}
