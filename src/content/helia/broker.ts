import type { BlockBroker } from 'helia'
import type { Bitswap } from '../../../protocols/bitswap/index.ts'
import type { Content } from '../../../protocols/content/types.ts'
import type { ContentPolicy } from '../../trust/contract.ts'
import { assertMayRead } from '../denied.ts'
import type { PrivateContent } from '../private/private-content.ts'

/** Whoever asks Helia for a block without a signal gets an answer all the same. */
const RETRIEVE_TIMEOUT_MS = 30_000

/**
 * Gets blocks by the content protocol, and only if no p2pnode peer has one, from `next`. Helia asks all its brokers at
 * once; one broker with the other behind it is how one comes ahead.
 */
export function contentBroker(
  content: Pick<Content, 'fetchBlock'>,
  next?: Pick<Bitswap, 'want'>,
  privacy?: Pick<PrivateContent, 'isPrivate' | 'put'>,
  denied?: ContentPolicy,
): BlockBroker {
  return {
    name: 'p2pnode',
    async retrieve(cid, options = {}) {
      assertMayRead(cid, denied)
      const signal = options.signal ?? AbortSignal.timeout(RETRIEVE_TIMEOUT_MS)
      try {
        const { bytes, isPrivate } = await content.fetchBlock(cid, { signal })
        // Helia stores it, and knows no marks.
        if (isPrivate) await privacy?.put(cid, bytes, { signal, verified: true })
        return bytes
      } catch (error) {
        signal.throwIfAborted()
        if (privacy?.isPrivate(cid) === true) throw error
        if (next === undefined) throw error
        return next.want(cid, { signal })
      }
    },
  }
}
