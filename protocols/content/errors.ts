import type { CID } from 'multiformats/cid'
import { P2pnodeError } from '../shared/errors.ts'

/** Errors that the service's callers see; codes are stable. */

/** The reason for which whoever else was asked for a block is called off. */
export class BroughtElsewhere extends Error {
  override readonly name = 'BroughtElsewhere'

  constructor() {
    super('another one brought it')
  }
}

export function notFound(cid: CID, details: Record<string, unknown> = {}): P2pnodeError {
  return new P2pnodeError('ERR_NOT_FOUND', 'not-found', `no peer that was asked has ${cid.toString()}`, {
    details: { cid: cid.toString(), ...details },
  })
}

export function pathNotFound(segment: string, cid: CID): P2pnodeError {
  return new P2pnodeError('ERR_NOT_FOUND', 'not-found', `there is no "${segment}" in ${cid.toString()}`, {
    details: { cid: cid.toString(), segment },
  })
}

/** Whether it says that a path leads nowhere, in a DAG that is whole as far as the path goes. */
export function isPathNotFound(error: unknown): error is P2pnodeError {
  return error instanceof P2pnodeError && Object.hasOwn(error.details, 'segment')
}

export function proxyRefused(peer: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_PROXY_REFUSED',
    'denied',
    `${peer} fetches nothing (more) from elsewhere for us`,
    {
      details: { peer },
    },
  )
}

export function stalled(timeoutMs: number): P2pnodeError {
  return new P2pnodeError('ERR_FETCH_STALLED', 'timeout', `no block arrived for ${timeoutMs} ms`, {
    details: { timeoutMs },
  })
}

export function cancelled(cause?: unknown): P2pnodeError {
  return new P2pnodeError('ERR_CANCELLED', 'cancelled', 'the fetch was cancelled', { cause })
}

/** The block matches its CID and is still not what its codec promises: no other source can help. */
export function dagInvalid(cid: CID, reason: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError('ERR_DAG_INVALID', 'verification', `${cid.toString()}: ${reason}`, {
    details: { cid: cid.toString(), reason },
    cause,
  })
}

export function hashUnsupported(code: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_HASH_UNSUPPORTED',
    'failed',
    `blocks hashed with function 0x${code.toString(16)} cannot be verified here`,
    { details: { code } },
  )
}

export function streamFailed(reason: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError('ERR_STREAM_FAILED', 'unavailable', `the stream ended: ${reason}`, {
    details: { reason },
    cause,
  })
}

export function capabilitiesUnsupported(): P2pnodeError {
  return new P2pnodeError('ERR_CAPABILITIES_UNSUPPORTED', 'unavailable', 'capabilities are not exchanged')
}
