import type { CID } from 'multiformats/cid'
import type { Content } from '../../../protocols/content/types.ts'
import type { ContentPolicy } from '../../trust/contract.ts'
import type { Fetcher } from '../fetch/fetcher.ts'
import type { DiscoverySteps } from '../flow/steps.ts'

/**
 * Good bytes for a block that rotted here: from connected peers, then from those that the DHT knows to have it, then from
 * the other steps that are switched on. Undefined where nobody has it now; the next scrub asks again.
 */
export function healer(dependencies: {
  content: Pick<Content, 'fetchBlock'>
  fetcher: Fetcher
  steps: DiscoverySteps
  /** What is asked of nobody. */
  denied?: ContentPolicy | undefined
}): (cid: CID, signal: AbortSignal) => Promise<Uint8Array | undefined> {
  const { content, fetcher, steps, denied } = dependencies
  return async (cid, signal) => {
    if (denied?.decideContent('read', { cid }).allowed === false) return undefined
    const sources = fetcher.sources(cid, signal)
    try {
      for await (const peer of sources) {
        const found = await content.fetchBlock(cid, { peers: [peer], signal }).catch(() => undefined)
        if (found !== undefined) return found.bytes
        if (signal.aborted) return undefined
      }
    } finally {
      sources.close()
    }
    return steps.block(cid, signal).catch(() => undefined)
  }
}
