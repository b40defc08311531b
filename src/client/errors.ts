import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { kindOf, NO_DAEMON_CODE } from './exit-codes.ts'

export const noDaemon = (url: string | undefined, cause?: unknown): P2pnodeError =>
  new P2pnodeError(
    NO_DAEMON_CODE,
    'unavailable',
    url === undefined
      ? 'No daemon runs on this data folder; start one with: p2pnode start'
      : `No daemon answers at ${url}; start one with: p2pnode start`,
    { details: url === undefined ? {} : { url }, cause },
  )

export const urlInvalid = (url: string, cause?: unknown): P2pnodeError =>
  new P2pnodeError('ERR_API_URL', 'usage', `${url} is not the URL of an API, such as http://127.0.0.1:4780`, {
    details: { url },
    cause,
  })

export const noToken = (path: string, cause?: unknown): P2pnodeError =>
  new P2pnodeError('ERR_NO_TOKEN', 'denied', `The token in ${path} cannot be read; give one with --token`, {
    details: { path },
    cause,
  })

/** The connection ended before the answer was whole: what was received so far must not be taken for all of it. */
export const connectionLost = (url: string, cause?: unknown): P2pnodeError =>
  new P2pnodeError(
    'ERR_CONNECTION_LOST',
    'failed',
    `The daemon at ${url} ended the connection before its answer was whole`,
    {
      cause,
    },
  )

export const connectionIdle = (url: string, timeoutMs: number): P2pnodeError =>
  new P2pnodeError(
    'ERR_CONNECTION_IDLE',
    'timeout',
    `The daemon at ${url} sent nothing for ${timeoutMs} ms`,
    {
      details: { timeoutMs },
    },
  )

export const cancelled = (cause?: unknown): P2pnodeError =>
  new P2pnodeError('ERR_CANCELLED', 'cancelled', 'Cancelled', { cause })

export const answerInvalid = (url: string, status: number): P2pnodeError =>
  new P2pnodeError(
    'ERR_ANSWER_INVALID',
    'failed',
    `What answers at ${url} is not a p2pnode API (status ${status})`,
    {
      details: { status },
    },
  )

/** What a failure of a job says, as an error of whoever waited for it. */
export const failureOfJob = (failure: {
  code: string
  kind: string
  message: string
  details?: Record<string, unknown> | undefined
}): P2pnodeError =>
  new P2pnodeError(failure.code, kindOf(failure.kind), failure.message, { details: failure.details ?? {} })

/** The error in an answer of the API, in the shape that every failure has. */
export function failureOfAnswer(url: string, status: number, text: string): P2pnodeError {
  try {
    const { error } = JSON.parse(text) as {
      error: { code: unknown; kind: unknown; message: unknown; details?: unknown }
    }
    if (
      typeof error.code === 'string' &&
      typeof error.kind === 'string' &&
      typeof error.message === 'string'
    ) {
      return new P2pnodeError(error.code, kindOf(error.kind), error.message, {
        details: { ...(typeof error.details === 'object' ? error.details : {}) },
      })
    }
  } catch {
    // Not ours: told below.
  }
  return answerInvalid(url, status)
}
