import { P2pnodeError } from '../shared/errors.ts'
import { MAX_OWN_WANTS } from './limits.ts'

export function tooManyWants(): P2pnodeError {
  return new P2pnodeError(
    'ERR_BITSWAP_BUSY',
    'busy',
    `${MAX_OWN_WANTS} blocks are wanted by Bitswap already; try again when some have come`,
  )
}

export function notRunning(): P2pnodeError {
  return new P2pnodeError('ERR_BITSWAP_STOPPED', 'unavailable', 'Bitswap does not run')
}
