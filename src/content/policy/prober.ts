import { randomInt } from 'node:crypto'
import { peerIdFromString } from '@libp2p/peer-id'
import type { CID } from 'multiformats/cid'
import { KeepRefusedError } from '../../../protocols/keep/index.ts'
import type { Keep } from '../../../protocols/keep/types.ts'
import { links } from '../../../protocols/content/index.ts'
import type { Content } from '../../../protocols/content/types.ts'
import type { Blocks } from '../../storage/types.ts'
import { FETCHING_MS, PROBE_TIMEOUT_MS } from './limits.ts'
import type { Copy } from './copy-store.ts'

/** From a root to the deepest leaf of any real DAG. */
const MAX_LEVELS = 32

/**
 * - `proven`: a block of it, taken at random, came from there
 * - `fetching`: promised, and on its way to there
 * - `gone`: the peer does not keep it, or cannot show a block of it
 * - `silent`: it could not be asked
 */
export type ProbeResult = 'proven' | 'fetching' | 'gone' | 'silent'

export interface ProberOptions {
  keep: Pick<Keep, 'probe'>
  content: Pick<Content, 'fetchBlock'>
  blocks: Pick<Blocks, 'get'>
  now: () => number
}

/** Looks whether a peer has what it promised: by its word, and by a block that the DAG's owner picks. */
export async function probe(copy: Copy, options: ProberOptions, signal: AbortSignal): Promise<ProbeResult> {
  const { keep, content, blocks, now } = options
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)])
  const peer = peerIdFromString(copy.peer)
  try {
    const { state } = await keep.probe(peer, copy.cid, { signal: bounded })
    if (state === 'none') return 'gone'
    if (state === 'fetching') return now() - copy.atMs > FETCHING_MS ? 'gone' : 'fetching'
  } catch (error) {
    signal.throwIfAborted()
    return error instanceof KeepRefusedError ? 'gone' : 'silent'
  }
  try {
    await content.fetchBlock(await someBlock(copy.cid, blocks, bounded), { peers: [peer], signal: bounded })
    return 'proven'
  } catch {
    signal.throwIfAborted()
    return bounded.aborted ? 'silent' : 'gone'
  }
}

/** A random way down. Leaves below few links are picked more often, which is as good for finding out a peer that lies. */
async function someBlock(root: CID, blocks: Pick<Blocks, 'get'>, signal: AbortSignal): Promise<CID> {
  let cid = root
  for (let level = 0; level < MAX_LEVELS; level++) {
    const bytes = await blocks.get(cid, { signal })
    const below = bytes === undefined ? [] : links(cid, bytes)
    const next = below[below.length === 0 ? 0 : randomInt(below.length)]
    if (next === undefined) return cid
    cid = next
  }
  return cid
}
