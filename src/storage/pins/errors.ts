import { P2pnodeError } from '../../../protocols/shared/errors.ts'

export function pinIncomplete(cid: string, missing: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_PIN_INCOMPLETE',
    'not-found',
    missing === cid
      ? `${cid} cannot be pinned: it is not held here`
      : `${cid} cannot be pinned: block ${missing} below it is not held here`,
    { details: { cid, missing } },
  )
}

export function pinUnwalkable(cid: string, block: string, reason: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_PIN_UNWALKABLE',
    'verification',
    `${cid} cannot be pinned recursively: the links of block ${block} cannot be read (${reason}); a direct pin can keep single blocks`,
    { details: { cid, block } },
  )
}

export function pinNotFound(cid: string): P2pnodeError {
  return new P2pnodeError('ERR_PIN_NOT_FOUND', 'not-found', `${cid} is not pinned so`, { details: { cid } })
}

export function pinRemoved(cid: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_PIN_REMOVED',
    'conflict',
    `the pin of ${cid} was removed while it was being added`,
    {
      details: { cid },
    },
  )
}

export function pinNameTooLong(limitBytes: number): P2pnodeError {
  return new P2pnodeError('ERR_PIN_NAME', 'usage', `the name of a pin has at most ${limitBytes} bytes`, {
    details: { limitBytes },
  })
}

export function tooManyPinsWaiting(limit: number): P2pnodeError {
  return new P2pnodeError('ERR_STORAGE_BUSY', 'busy', `more than ${limit} pins wait to be walked already`, {
    details: { limit },
  })
}
