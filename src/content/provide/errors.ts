import type { CID } from 'multiformats/cid'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'

export function contentPrivate(cid: CID): P2pnodeError {
  return new P2pnodeError(
    'ERR_CONTENT_PRIVATE',
    'denied',
    `${cid} is marked as private: it is not announced`,
    {
      details: { cid: cid.toString() },
    },
  )
}

export function provideHash(cid: CID): P2pnodeError {
  return new P2pnodeError(
    'ERR_PROVIDE_HASH',
    'usage',
    `${cid} cannot be announced: nodes of the DHT keep records of SHA-256 alone`,
    { details: { cid: cid.toString(), hash: cid.multihash.code } },
  )
}

export function provideFailed(cid: CID, cause: unknown): P2pnodeError {
  const message = `${cid} could not be announced: ${(cause as Error).message}`
  return new P2pnodeError('ERR_PROVIDE_FAILED', 'unavailable', message, { cause })
}
