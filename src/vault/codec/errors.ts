import { type ErrorKind, P2pnodeError } from '../../../protocols/shared/errors.ts'

const KINDS = {
  ERR_VAULT_INVALID: 'verification',
  ERR_VAULT_TOO_LARGE: 'too-large',
  ERR_LINK_INVALID: 'usage',
  ERR_LINK_CHECKSUM: 'usage',
} as const satisfies Record<string, ErrorKind>

export type CodecErrorCode = keyof typeof KINDS

function codecError(
  code: CodecErrorCode,
  message: string,
  options: { details?: Record<string, unknown>; cause?: unknown } = {},
): P2pnodeError {
  return new P2pnodeError(code, KINDS[code], message, options)
}

/** Bytes that are not what they should be: damaged, altered, or for another key. `what` begins with the thing that is wrong. */
export function vaultInvalid(
  what: string,
  details: Record<string, unknown> = {},
  cause?: unknown,
): P2pnodeError {
  return codecError('ERR_VAULT_INVALID', what, { details, cause })
}

/** More than the format can hold. */
export function vaultTooLarge(what: string, details: Record<string, unknown> = {}): P2pnodeError {
  return codecError('ERR_VAULT_TOO_LARGE', what, { details })
}

export function linkInvalid(what: string): P2pnodeError {
  return codecError('ERR_LINK_INVALID', what)
}

export function linkChecksum(): P2pnodeError {
  return codecError(
    'ERR_LINK_CHECKSUM',
    'the checksum of this link is wrong: it was mistyped or cut off; the file it leads to is not at fault',
  )
}
