import type { CID } from 'multiformats/cid'
import { keyOf } from '../../../protocols/content/hash.ts'
import { links, mayHaveLinks } from '../../../protocols/content/links.ts'
import type { Blocks } from '../../storage/types.ts'
import { dagInvalid } from '../errors.ts'

/** CIDs remembered so that no subtree is walked twice, about 100 bytes each. Beyond it some are. */
const MAX_REMEMBERED = 1_000_000
/** CIDs still to visit. A directory of a million entries is sharded, and has some thousand at a time. */
const MAX_PENDING = 1_000_000

/** What a block links to; one that is not what its codec says has no links that anybody could follow. */
export function linksOf(cid: CID, bytes: Uint8Array): CID[] {
  try {
    return links(cid, bytes)
  } catch {
    return []
  }
}

/** The CIDs of a DAG as far as its blocks are held here, and those of missing ones that a held block links to. Each once. */
export async function* walkHeld(
  blocks: Pick<Blocks, 'get'>,
  root: CID,
  signal: AbortSignal,
): AsyncGenerator<CID> {
  const stack: CID[] = [root]
  const seen = new Set<string>()
  for (let cid = stack.pop(); cid !== undefined; cid = stack.pop()) {
    signal.throwIfAborted()
    const key = keyOf(cid)
    if (seen.has(key)) continue
    if (seen.size < MAX_REMEMBERED) seen.add(key)
    yield cid
    if (!mayHaveLinks(cid)) continue
    const bytes = await blocks.get(cid, { signal })
    if (bytes === undefined) continue
    for (const link of linksOf(cid, bytes).toReversed()) if (!seen.has(keyOf(link))) stack.push(link)
    if (stack.length > MAX_PENDING) throw dagInvalid(cid, 'too much is left to visit')
  }
}
