import { type ErrorKind, P2pnodeError } from '../../protocols/shared/errors.ts'
import { MAX_WAITING_CALLS } from './limits.ts'

const KINDS = {
  ERR_CANCELLED: 'cancelled',
  ERR_WORKERS_BUSY: 'busy',
  ERR_WORKERS_CLOSED: 'unavailable',
  ERR_WORKERS_FAILED: 'failed',
} as const satisfies Record<string, ErrorKind>

function workersError(code: keyof typeof KINDS, message: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError(code, KINDS[code], message, { cause })
}

export function workCancelled(cause: unknown): P2pnodeError {
  return workersError('ERR_CANCELLED', 'cancelled', cause)
}

export function workersBusy(): P2pnodeError {
  return workersError(
    'ERR_WORKERS_BUSY',
    `${MAX_WAITING_CALLS} calls already wait for a worker thread: try again later`,
  )
}

export function workersClosed(): P2pnodeError {
  return workersError('ERR_WORKERS_CLOSED', 'the node is stopping: its worker threads take nothing more')
}

export function workersFailed(cause: unknown): P2pnodeError {
  return workersError('ERR_WORKERS_FAILED', 'work in a worker thread failed', cause)
}
