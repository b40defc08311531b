import { P2pnodeError } from '../../protocols/shared/errors.ts'

/** The key file is not what the format says; it is left as it is, since it may be the only copy. */
export function identityInvalid(path: string, reason: string, cause?: unknown): P2pnodeError {
  const message = `${path} is not a usable identity key: ${reason}. It was not touched; restore it from a backup, or move it away to get a new identity`
  return new P2pnodeError('ERR_IDENTITY_INVALID', 'failed', message, { details: { path, reason }, cause })
}

/** Others could read or replace the key; `fix` is the command that mends it. */
export function identityExposed(path: string, reason: string, fix: string): P2pnodeError {
  const message = `refusing the identity key ${path}: ${reason}; run: ${fix}`
  return new P2pnodeError('ERR_IDENTITY_EXPOSED', 'failed', message, { details: { path, reason, fix } })
}

export function identityUnreadable(path: string, cause: Error): P2pnodeError {
  const message = `the identity key ${path} cannot be read or written: ${cause.message}`
  return new P2pnodeError('ERR_IDENTITY_UNREADABLE', 'failed', message, { details: { path }, cause })
}

export function passphraseNeeded(path: string, reason: string): P2pnodeError {
  const message = `${reason} ${path}: set P2PNODE_PASSPHRASE, or start on a terminal to be asked`
  return new P2pnodeError('ERR_PASSPHRASE_NEEDED', 'usage', message, { details: { path } })
}

export function passphraseWrong(path: string): P2pnodeError {
  const message = `the passphrase does not open ${path} (or the file was altered)`
  return new P2pnodeError('ERR_PASSPHRASE_WRONG', 'denied', message, { details: { path } })
}
