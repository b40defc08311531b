import { P2pnodeError } from '../../protocols/shared/errors.ts'

export function tarInvalid(offset: number, reason: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_TAR_INVALID',
    'verification',
    `the tar stream is malformed at byte ${offset}: ${reason}`,
    {
      details: { offset },
      cause,
    },
  )
}

export function tarTruncated(offset: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_TAR_TRUNCATED',
    'verification',
    `the tar stream ends at byte ${offset} without its end mark; nothing was kept`,
    { details: { offset } },
  )
}

export function entryRefused(path: string, reason: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_ENTRY_REFUSED',
    'usage',
    `entry ${JSON.stringify(path)} is refused: ${reason}`,
    {
      details: { path, reason },
    },
  )
}
