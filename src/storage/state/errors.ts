import { P2pnodeError } from '../../../protocols/shared/errors.ts'

/** Another process, or another node of this process, holds the data folder. */
export function homeLocked(home: string, cause: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_HOME_LOCKED',
    'conflict',
    `another p2pnode uses the data folder ${home}; stop it first, or give this one its own folder with --home`,
    { details: { home }, cause },
  )
}

/** The data folder cannot be created, or its lock cannot be opened. */
export function homeUnusable(home: string, cause: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_HOME_UNUSABLE',
    'failed',
    `the data folder ${home} cannot be used: ${reasonOf(cause)}`,
    { details: { home }, cause },
  )
}

/** state.db is damaged, or is not a database of this program. The file is left as it is. */
export function stateCorrupt(path: string, reason: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_STATE_CORRUPT',
    'failed',
    `the state database ${path} cannot be read (${reason}); it was left as it is. ` +
      'Bring a backup back into an empty folder with: p2pnode restore FILE --home NEW_FOLDER',
    { details: { path }, cause },
  )
}

/** state.db cannot be opened: permissions, a read-only disk, a folder in its place. */
export function stateUnusable(path: string, cause: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_STATE_UNUSABLE',
    'failed',
    `the state database ${path} cannot be opened: ${reasonOf(cause)}`,
    { details: { path }, cause },
  )
}

/** The disk is full: nothing of the transaction was written. */
export function stateDiskFull(path: string, cause: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_DISK_FULL',
    'no-space',
    `the disk that holds ${path} is full; free some space and try again`,
    { details: { path }, cause },
  )
}

/** state.db was written by a newer release. */
export function stateNewer(path: string, found: number, known: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_STATE_NEWER',
    'conflict',
    `the state database ${path} has version ${found}, and this p2pnode knows versions up to ${known}; ` +
      'install the newer p2pnode that wrote it',
    { details: { path, found, known } },
  )
}

/** One step of a migration failed; everything before it stays, and the next start goes on from there. */
export function migrationFailed(
  path: string,
  version: number,
  name: string,
  backup: string | null,
  cause: unknown,
): P2pnodeError {
  return new P2pnodeError(
    'ERR_STATE_MIGRATION',
    'failed',
    `bringing ${path} to version ${version} (${name}) failed: ${reasonOf(cause)}; the next start tries again` +
      (backup === null ? '' : `. The database as it was before is ${backup}`),
    { details: { path, version, backup }, cause },
  )
}

export function stateClosed(): P2pnodeError {
  return new P2pnodeError('ERR_STATE_CLOSED', 'unavailable', 'the state database is closed')
}

/** A restore never mixes with what is there. */
export function homeNotEmpty(home: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_HOME_NOT_EMPTY',
    'conflict',
    `${home} is not empty; restore into a new folder with --home, or move this one away first`,
    { details: { home } },
  )
}

/** What was given is not a whole, undamaged backup. Nothing of it was kept. */
export function backupInvalid(reason: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError('ERR_BACKUP_INVALID', 'verification', `this is not a usable backup: ${reason}`, {
    cause,
  })
}

/** The backup was made by a newer release. */
export function backupNewer(found: number, known: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_BACKUP_NEWER',
    'conflict',
    `the backup has format version ${found}, and this p2pnode reads versions up to ${known}; install a newer p2pnode`,
    { details: { found, known } },
  )
}

/** No value under this key. libp2p and Helia know this case by the error's name. */
export function datastoreNotFound(key: string): P2pnodeError {
  const error = new P2pnodeError('ERR_NOT_FOUND', 'not-found', `the datastore holds nothing under ${key}`)
  error.name = 'NotFoundError'
  return error
}

/** The text of an error, for a message that wraps it. */
function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
