import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { SlabId } from '../../../protocols/chunk/types.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'

/** Too few pieces could be had; it reads again once enough holders are back. */
export function piecesNotFound(
  slab: SlabId,
  counts: { found: number; needed: number; n: number; segment?: number },
  cause?: unknown,
): P2pnodeError {
  const { found, needed, n } = counts
  return new P2pnodeError(
    'ERR_VAULT_PIECES',
    'not-found',
    `${found} of the ${needed} needed pieces found for slab ${slabKeyOf(slab)} (${n} were stored)`,
    { details: { slab: slabKeyOf(slab), ...counts }, cause },
  )
}

export function manifestNotFound(slab: SlabId, cause?: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_VAULT_NOT_FOUND',
    'not-found',
    'nobody who can be reached holds the manifest of this link',
    { details: { slab: slabKeyOf(slab) }, cause },
  )
}

/** Bytes that are signed or sealed rightly and still contradict themselves, or do not open under the link's key. */
export function vaultInvalid(what: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError('ERR_VAULT_INVALID', 'verification', what, { cause })
}

export function verifyLinkReadsNothing(): P2pnodeError {
  return new P2pnodeError(
    'ERR_LINK_POWER',
    'denied',
    'this is a verify link: it shows health and repairs, but reads nothing',
  )
}

export function pathNotFound(path: string): P2pnodeError {
  return new P2pnodeError('ERR_NOT_FOUND', 'not-found', `there is no ${JSON.stringify(path)} in it`, {
    details: { path },
  })
}

export function notAFile(what: string, type: string): P2pnodeError {
  return new P2pnodeError('ERR_NOT_A_FILE', 'usage', `${what} is a ${type}, not a file`, {
    details: { type },
  })
}

export function notADirectory(what: string, type: string): P2pnodeError {
  return new P2pnodeError('ERR_NOT_A_DIRECTORY', 'usage', `${what} is a ${type}, not a directory`, {
    details: { type },
  })
}

export function tooManyReaders(limit: number): P2pnodeError {
  return new P2pnodeError('ERR_BUSY', 'busy', `${limit} reads are under way already; try again later`, {
    details: { limit },
  })
}

export function cancelled(cause?: unknown): P2pnodeError {
  return new P2pnodeError('ERR_CANCELLED', 'cancelled', 'the operation was cancelled', { cause })
}

export function nameInvalid(name: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_PARAMS_INVALID',
    'usage',
    `${JSON.stringify(name)} cannot be the name of a file`,
  )
}
