import type { CID } from 'multiformats/cid'
import type { Content } from '../../../protocols/content/types.ts'
import type { Fetcher, IpfsStep } from '../fetch/fetcher.ts'

/**
 * Good bytes for a block that rotted here: from connected peers, then from those that the DHT knows to have it, then from
 * IPFS where that is switched on. Undefined where nobody has it now; the next scrub asks again.
 */
export function healer(dependencies: {
  content: Pick<Content, 'fetchBlock'>
  fetcher: Fetcher
  ipfs: IpfsStep | undefined
}): (cid: CID, signal: AbortSignal) => Promise<Uint8Array | undefined> {
  const { content, fetcher, ipfs } = dependencies
  return async (cid, signal) => {
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
    return ipfs?.(cid, { signal }).catch(() => undefined)
  }
}
