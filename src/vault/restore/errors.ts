import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { SlabId } from '../../../protocols/chunk/types.ts'

export function piecesMissing(slab: SlabId, found: number, k: number, cause?: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_VAULT_PIECES',
    'not-found',
    `${found} of ${k} pieces found of slab ${slabKeyOf(slab)}: it can be restored when ${k - found} more of its holders are back`,
    { details: { slab: slabKeyOf(slab), found, needed: k }, cause },
  )
}

export function tooFewHolders(wanted: number, found: number, cause?: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_TOO_FEW_HOLDERS',
    'unavailable',
    `${wanted} more holders are needed and ${found} are eligible: connect to more peers that lend storage`,
    { details: { wanted, found }, cause },
  )
}

export function cancelled(cause?: unknown): P2pnodeError {
  return new P2pnodeError('ERR_CANCELLED', 'cancelled', 'the operation was cancelled', { cause })
}

export function indexContradicts(slab: SlabId, column: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_VAULT_INVALID',
    'verification',
    `the index of slab ${slabKeyOf(slab)} names a column ${column} that its other columns do not give`,
    { details: { slab: slabKeyOf(slab), column } },
  )
}
