import { P2pnodeError } from '../../../protocols/shared/errors.ts'

/** The rows belong to another owner secret, or the database was altered. */
export function stateUnreadable(table: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_OWNER_STATE_UNREADABLE',
    'verification',
    `the owner's state (${table}) cannot be opened: HOME/owner.key is not the key that it was sealed with, or state.db was altered; bring back the owner.key that belongs to it`,
    { details: { table }, cause },
  )
}

export function paramsInvalid(reason: string): P2pnodeError {
  return new P2pnodeError('ERR_PARAMS_INVALID', 'usage', reason)
}

/** The checkpoint names state that is no longer there: only a damaged or tampered data folder gets here. */
export function checkpointLost(reason: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_CHECKPOINT_LOST',
    'failed',
    `the put cannot go on: ${reason}; start it again`,
    {
      cause,
    },
  )
}

export function treeTooLarge(limit: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_TREE_TOO_LARGE',
    'too-large',
    `a tree in the vault may have at most ${limit} entries`,
    { details: { limit } },
  )
}

export function notOwned(): P2pnodeError {
  return new P2pnodeError(
    'ERR_VAULT_NOT_OWNED',
    'denied',
    'the link is not of an object that this node put: only the owner can do this; if it was put on another machine, bring its state with "p2pnode state import"',
  )
}

/** What has to be known of the bytes is gone with the process that read them. */
export function sourceChanged(reason: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_SOURCE_CHANGED',
    'verification',
    `the source changed while it was read: ${reason}`,
  )
}

export function objectBusy(name: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_VAULT_BUSY',
    'conflict',
    `"${name}" is still being put: cancel its job instead`,
  )
}

export function documentInvalid(reason: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_OWNER_STATE_INVALID',
    'verification',
    `this is no usable state of an owner: ${reason}`,
    { cause },
  )
}

export function exportPassphraseNeeded(): P2pnodeError {
  return new P2pnodeError('ERR_PASSPHRASE_NEEDED', 'usage', 'the export was made with a passphrase: give it')
}

export function exportPassphraseWrong(): P2pnodeError {
  return new P2pnodeError(
    'ERR_PASSPHRASE_WRONG',
    'denied',
    'the passphrase does not open the export (or the file was altered)',
  )
}

export function stateNotFound(): P2pnodeError {
  return new P2pnodeError(
    'ERR_OWNER_STATE_NOT_FOUND',
    'not-found',
    'no connected peer keeps a state of this owner: connect to the network that it was put in, and try again',
  )
}
