import { P2pnodeError } from '../../protocols/shared/errors.ts'

/** What a file that holds a secret is called in errors. */
export interface KeyWords {
  /** Beginning of the codes of errors. */
  readonly code: 'ERR_IDENTITY' | 'ERR_OWNER_KEY' | 'ERR_SWARM_KEY' | 'ERR_NETWORK_KEY'
  readonly noun: string
  /** What moving the file away costs. */
  readonly afresh: string
}

/** Which of the node's secrets a key file holds: its marks in the file, and its words in errors. */
export interface KeyForm extends KeyWords {
  readonly format: 'p2pnode-identity' | 'p2pnode-owner' | 'p2pnode-swarm'
  /** The field that names whose key it is. */
  readonly field: 'peer' | 'owner' | 'swarm'
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

export const SWARM_FORM: KeyForm = {
  format: 'p2pnode-swarm',
  field: 'swarm',
  code: 'ERR_SWARM_KEY',
  noun: "swarm owner's key",
  afresh: 'move it away and bring it back from its words (p2pnode swarm recover)',
}

/** The key file is not what the format says; it is left as it is, since it may be the only copy. */
export function keyInvalid(form: KeyWords, path: string, reason: string, cause?: unknown): P2pnodeError {
  const message = `${path} is not a usable ${form.noun}: ${reason}. It was not touched; restore it from a backup, or ${form.afresh}`
  return new P2pnodeError(`${form.code}_INVALID`, 'failed', message, { details: { path, reason }, cause })
}

/** Others could read or replace the key; `fix` is the command that mends it. */
export function keyExposed(form: KeyWords, path: string, reason: string, fix: string): P2pnodeError {
  const message = `refusing the ${form.noun} ${path}: ${reason}; run: ${fix}`
  return new P2pnodeError(`${form.code}_EXPOSED`, 'failed', message, { details: { path, reason, fix } })
}

export function keyUnreadable(form: KeyWords, path: string, cause: Error): P2pnodeError {
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

/** What a person typed is not 24 words of the list with a sound checksum; the words are never repeated. */
export function phraseInvalid(what: string, details: Record<string, unknown> = {}): P2pnodeError {
  return new P2pnodeError('ERR_PHRASE_INVALID', 'usage', what, { details })
}
