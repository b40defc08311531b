import { type ErrorKind, P2pnodeError } from '../../protocols/shared/errors.ts'

/**
 * Every failure that the block store raises on purpose, by its stable code. `retry` is said in words in the message
 * where a person can do something about it.
 */
const KINDS = {
  ERR_BLOCK_INVALID: 'verification',
  ERR_BLOCK_TOO_LARGE: 'too-large',
  ERR_HASH_UNSUPPORTED: 'usage',
  ERR_QUOTA: 'no-space',
  ERR_DISK_FULL: 'no-space',
  ERR_STORAGE_IO: 'failed',
  ERR_STORAGE_CORRUPT: 'failed',
  ERR_STORAGE_BUSY: 'busy',
  ERR_STORAGE_CLOSED: 'unavailable',
  ERR_STORAGE_NEWER: 'failed',
  ERR_DELETE_REFUSED: 'usage',
  ERR_NOT_FOUND: 'not-found',
  ERR_CANCELLED: 'cancelled',
} as const satisfies Record<string, ErrorKind>

export type StorageErrorCode = keyof typeof KINDS

/** An error of the block store: the kind follows from the code. */
export function storageError(
  code: StorageErrorCode,
  message: string,
  options: { details?: Record<string, unknown>; cause?: unknown } = {},
): P2pnodeError {
  return new P2pnodeError(code, KINDS[code], message, options)
}

export function isStorageError(error: unknown, code: StorageErrorCode): boolean {
  return error instanceof P2pnodeError && error.code === code
}

export function blockInvalid(cid: string): P2pnodeError {
  return storageError('ERR_BLOCK_INVALID', `the bytes given for ${cid} do not match its hash`, {
    details: { cid },
  })
}

export function blockTooLarge(sizeBytes: number, limitBytes: number): P2pnodeError {
  return storageError(
    'ERR_BLOCK_TOO_LARGE',
    `a block of ${sizeBytes} bytes is over the limit of ${limitBytes}`,
    {
      details: { sizeBytes, limitBytes },
    },
  )
}

export function hashUnsupported(hashCode: number): P2pnodeError {
  return storageError(
    'ERR_HASH_UNSUPPORTED',
    `blocks hashed with function 0x${hashCode.toString(16)} cannot be verified here, so they are not kept`,
    { details: { hashCode } },
  )
}

export function quotaExceeded(neededBytes: number, usedBytes: number, quotaBytes: number): P2pnodeError {
  return storageError(
    'ERR_QUOTA',
    `the storage quota is reached: ${neededBytes} bytes more on top of ${usedBytes} in use are over ${quotaBytes}; ` +
      'unpin and collect, or raise storage.quota',
    { details: { neededBytes, usedBytes, quotaBytes } },
  )
}

export function diskFull(cause: unknown): P2pnodeError {
  return storageError(
    'ERR_DISK_FULL',
    'the disk is full: free space on the file system that holds the home folder',
    {
      cause,
    },
  )
}

export function storageClosed(): P2pnodeError {
  return storageError('ERR_STORAGE_CLOSED', 'the storage is closed')
}

export function storageBusy(what: string, limit: number): P2pnodeError {
  return storageError('ERR_STORAGE_BUSY', `more than ${limit} ${what} wait already`, { details: { limit } })
}

export function cancelled(cause: unknown): P2pnodeError {
  return storageError('ERR_CANCELLED', 'the operation was cancelled', { cause })
}

/** @throws ERR_CANCELLED where the signal has aborted */
export function assertGoingOn(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw cancelled(signal.reason)
}

/** Codes by which the operating system and SQLite say that there is no room; the last: for the index of the log. */
const NO_SPACE = new Set(['ENOSPC', 'EDQUOT', 'SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE'])

/**
 * What a failure of a file operation or of SQLite means to a caller: no room, a damaged database, or an
 * input/output error. Errors that are P2pnodeErrors already pass unchanged.
 */
export function fromSystemError(error: unknown): P2pnodeError {
  if (error instanceof P2pnodeError) return error
  const code = systemCode(error)
  if (NO_SPACE.has(code)) return diskFull(error)
  const text = error instanceof Error ? error.message : String(error)
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return storageError('ERR_STORAGE_CORRUPT', `the block database is damaged (${code}): restore a backup`, {
      details: { code },
      cause: error,
    })
  }
  return storageError('ERR_STORAGE_IO', `the storage failed: ${text}`, { details: { code }, cause: error })
}

/** The `code` of a system or SQLite error, or an empty text. */
export function systemCode(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}
