import type { CID } from 'multiformats/cid'

/**
 * The one question to ask before a CID leaves the swarm: before it stands in a Bitswap want or answer, a DHT query or provider
 * record, a request to a gateway or an answer of one, an announcement, a content filter, an answer of `/pins` or of the
 * routing API.
 */
export interface PrivateMark {
  /** Whether the block may be known to peers of this network alone. Answers at once and never throws: asked on hot paths. */
  isPrivate(cid: CID): boolean
}

/** What holds where nobody keeps marks. */
export const NOTHING_PRIVATE: PrivateMark = { isPrivate: () => false }

/** What has become private, or that something may be public again. */
export type MarkChange =
  | {
      readonly made: 'private'
      readonly cids: readonly CID[]
      /** Whether it was named itself, rather than found below what was. */
      readonly isRoot: boolean
    }
  | { readonly made: 'public' }
