import type { CID } from 'multiformats/cid'
import { links } from '../../../protocols/content/index.ts'
import type { Blocks, Maintenance } from '../../storage/types.ts'
import { EVICT_BLOCKS, MAX_INNER_NODES } from './limits.ts'

export interface EvictorOptions {
  blocks: Pick<Blocks, 'get'>
  maintenance: Pick<Maintenance, 'evict'>
  /** Whether something below is cached on its own account: a file that was read out of a folder goes when its turn comes. */
  isOther: (cid: CID) => boolean
}

/** The raw codec: blocks without links, which need not be read to know that. */
const RAW = 0x55

/**
 * Removes what is held of a DAG and kept by nothing else, from the leaves to the root: what an eviction that is cut off
 * leaves is still found from the root. Undefined where nothing may be removed at the moment, since a pin is being walked; `isLeased`: some
 * stay for now, since a lease covers them.
 */
export async function evictDag(
  root: CID,
  { blocks, maintenance, isOther }: EvictorOptions,
  signal: AbortSignal,
): Promise<{ removedBytes: number; isLeased: boolean } | undefined> {
  const seen = new Set<string>([keyOf(root)])
  const inner: CID[] = [root]
  let leaves: CID[] = []
  let removedBytes = 0
  let isLeased = false

  async function remove(cids: CID[]): Promise<boolean> {
    for (let start = 0; start < cids.length; start += EVICT_BLOCKS) {
      const result = await maintenance.evict(cids.slice(start, start + EVICT_BLOCKS), { signal })
      removedBytes += result.removedBytes
      isLeased ||= result.leasedBlocks > 0
      if (result.isPaused) return false
    }
    return true
  }

  // Level by level, so that the list is in an order in which it can be removed from its end.
  for (let at = 0; at < inner.length; at++) {
    const cid = inner[at] as CID
    const bytes = await blocks.get(cid, { signal, remember: false })
    if (bytes === undefined) continue
    for (const child of childrenOf(cid, bytes)) {
      if (isOther(child)) continue
      if (child.code === RAW) leaves.push(child)
      else if (inner.length < MAX_INNER_NODES && !seen.has(keyOf(child))) {
        seen.add(keyOf(child))
        inner.push(child)
      }
    }
    if (leaves.length < EVICT_BLOCKS) continue
    if (!(await remove(leaves))) return undefined
    leaves = []
  }
  const isDone = (await remove(leaves)) && (await remove(inner.toReversed()))
  return isDone ? { removedBytes, isLeased } : undefined
}

function childrenOf(cid: CID, bytes: Uint8Array): CID[] {
  try {
    return links(cid, bytes)
  } catch {
    // What cannot be read as its codec says was never walked when it came, and nothing hangs below it here.
    return []
  }
}

function keyOf({ multihash }: CID): string {
  return Buffer.from(multihash.bytes).toString('latin1')
}
