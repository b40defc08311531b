import { P2pnodeError } from '../shared/errors.ts'
import { Status } from '../shared/status.ts'

/** Why a holder refuses, beside the statuses that every protocol has. Numbers as on the wire. */
export const ChunkStatus = {
  ...Status,
  /** not held here */
  notHeld: Status.notFound,
  /** no room for it */
  noSpace: 32,
  /** the owner has deleted this slab */
  tombstoned: 33,
  /** another index or another column of this slab is held here, or the lease has a lower number */
  conflict: 34,
} as const

const REASONS: Readonly<Record<number, string>> = {
  [ChunkStatus.refused]: 'the peer does not serve this node',
  [ChunkStatus.notHeld]: 'the peer does not hold it',
  [ChunkStatus.invalid]: 'the peer calls the request invalid',
  [ChunkStatus.busy]: 'the peer has too much under way',
  [ChunkStatus.noSpace]: 'the peer has no room',
  [ChunkStatus.tombstoned]: 'the slab was deleted by its owner',
  [ChunkStatus.conflict]: 'the peer holds something else under this slab id',
}

/** A request that was refused, by this node or by a peer. `status` is what goes over the wire. */
export class ChunkRefusedError extends P2pnodeError {
  readonly status: number

  constructor(status: number, options: { cause?: unknown } = {}) {
    const kind =
      status === ChunkStatus.noSpace
        ? 'no-space'
        : status === ChunkStatus.notHeld
          ? 'not-found'
          : 'unavailable'
    super('ERR_CHUNK_REFUSED', kind, REASONS[status] ?? 'the peer could not do it', {
      ...options,
      details: { status },
    })
    this.name = 'ChunkRefusedError'
    this.status = status
  }
}

/** The peer says that it does not hold it. */
export function chunkNotFound(what: string): P2pnodeError {
  return new P2pnodeError('ERR_NOT_FOUND', 'not-found', `the peer does not hold ${what}`)
}

/** This node's own policy, asked before anything is sent. */
export function peerDenied(peer: string, reason: string): P2pnodeError {
  return new P2pnodeError('ERR_PEER_DENIED', 'denied', 'trust does not allow this peer', {
    details: { peer, reason },
  })
}

export function streamFailed(reason: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError('ERR_STREAM_FAILED', 'unavailable', `the stream ended: ${reason}`, {
    details: { reason },
    cause,
  })
}

export function cancelled(cause?: unknown): P2pnodeError {
  return new P2pnodeError('ERR_CANCELLED', 'cancelled', 'the request was cancelled', { cause })
}

/** Bytes that do not match what their owner signed: evidence against whoever sent them. */
export function chunkInvalid(what: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError('ERR_CHUNK_INVALID', 'verification', what, { cause })
}
