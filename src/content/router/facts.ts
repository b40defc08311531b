import type { CID } from 'multiformats/cid'
import type { Blocks, Pins } from '../../storage/types.ts'
import { decodeNode } from '../read/node.ts'
import type { ContentFacts } from './types.ts'

export interface FactsStorage {
  blocks: Pick<Blocks, 'get'>
  pins: Pick<Pins, 'list'>
}

/**
 * What can be told of content without asking anybody, from what is held here: the root tells the size of a file, a pin since
 * when it is known. Never throws: where the store fails, nothing is known.
 */
export async function factsOf(
  { blocks, pins }: FactsStorage,
  root: CID,
): Promise<Pick<ContentFacts, 'sizeBytes' | 'ageMs'>> {
  try {
    const [pin] = pins.list({ cid: root, limit: 1 }).pins
    const bytes = await blocks.get(root)
    const sizeBytes = bytes === undefined ? undefined : sizeOf(root, bytes)
    return {
      ...(sizeBytes === undefined ? {} : { sizeBytes }),
      ...(pin === undefined ? {} : { ageMs: Math.max(0, Date.now() - pin.createdAtMs) }),
    }
  } catch {
    return {}
  }
}

/** Bytes of a file; undefined for what does not tell, or is malformed. */
function sizeOf(cid: CID, bytes: Uint8Array): number | undefined {
  try {
    const node = decodeNode(cid, bytes)
    return node.type === 'file' ? node.sizeBytes : undefined
  } catch {
    return undefined
  }
}
