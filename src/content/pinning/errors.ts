import { P2pnodeError } from '../../../protocols/shared/errors.ts'

export const pinCidInvalid = (cid: string): P2pnodeError =>
  new P2pnodeError('ERR_PIN_CID', 'usage', `"${cid.slice(0, 120)}" is not a CID`)

export const originsInvalid = (reason: string): P2pnodeError =>
  new P2pnodeError('ERR_PIN_ORIGINS', 'usage', `origins: ${reason}`)

export const metaInvalid = (reason: string): P2pnodeError =>
  new P2pnodeError('ERR_PIN_META', 'usage', `meta: ${reason}`)

export const requestNotFound = (id: string): P2pnodeError =>
  new P2pnodeError('ERR_PIN_REQUEST_NOT_FOUND', 'not-found', 'There is no such pin request', {
    details: { id: id.slice(0, 120) },
  })

export const tooManyRequests = (limit: number): P2pnodeError =>
  new P2pnodeError(
    'ERR_TOO_MANY_PIN_REQUESTS',
    'conflict',
    `${limit} pin requests are on record; delete some`,
  )
