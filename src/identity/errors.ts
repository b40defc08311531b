import { P2pnodeError } from '../../protocols/shared/errors.ts'

/** Which of the node's secrets a key file holds: its marks in the file, and its words in errors. */
export interface KeyForm {
  readonly format: 'p2pnode-identity' | 'p2pnode-owner'
  /** The field that names whose key it is. */
  readonly field: 'peer' | 'owner'
  /** Beginning of the codes of errors. */
  readonly code: 'ERR_IDENTITY' | 'ERR_OWNER_KEY'
  readonly noun: string
  /** What moving the file away costs. */
  readonly afresh: string
}

export const IDENTITY_FORM: KeyForm = {
  format: 'p2pnode-identity',
  field: 'peer',
  code: 'ERR_IDENTITY',
  noun: 'identity key',
  afresh: 'move it away to get a new identity',
}

export const OWNER_FORM: KeyForm = {
  format: 'p2pnode-owner',
  field: 'owner',
  code: 'ERR_OWNER_KEY',
  noun: 'owner key',
  afresh: 'bring it back from the recovery phrase; without it what was put can neither be listed nor deleted',
}

/** The key file is not what the format says; it is left as it is, since it may be the only copy. */
export function keyInvalid(form: KeyForm, path: string, reason: string, cause?: unknown): P2pnodeError {
  const message = `${path} is not a usable ${form.noun}: ${reason}. It was not touched; restore it from a backup, or ${form.afresh}`
  return new P2pnodeError(`${form.code}_INVALID`, 'failed', message, { details: { path, reason }, cause })
}

/** Others could read or replace the key; `fix` is the command that mends it. */
export function keyExposed(form: KeyForm, path: string, reason: string, fix: string): P2pnodeError {
  const message = `refusing the ${form.noun} ${path}: ${reason}; run: ${fix}`
  return new P2pnodeError(`${form.code}_EXPOSED`, 'failed', message, { details: { path, reason, fix } })
}

export function keyUnreadable(form: KeyForm, path: string, cause: Error): P2pnodeError {
  const message = `the ${form.noun} ${path} cannot be read or written: ${cause.message}`
  return new P2pnodeError(`${form.code}_UNREADABLE`, 'failed', message, { details: { path }, cause })
}

export function passphraseNeeded(path: string, reason: string): P2pnodeError {
  const message = `${reason} ${path}: set P2PNODE_PASSPHRASE, or start on a terminal to be asked`
  return new P2pnodeError('ERR_PASSPHRASE_NEEDED', 'usage', message, { details: { path } })
}

export function passphraseWrong(path: string): P2pnodeError {
  const message = `the passphrase does not open ${path} (or the file was altered)`
  return new P2pnodeError('ERR_PASSPHRASE_WRONG', 'denied', message, { details: { path } })
}
