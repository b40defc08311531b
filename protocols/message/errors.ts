import { P2pnodeError } from '../shared/errors.ts'

/** The peer is of a version that takes no messages. */
export function messageUnsupported(peer: string, cause: unknown): P2pnodeError {
  return new P2pnodeError('ERR_MESSAGE_UNSUPPORTED', 'unavailable', `${peer} takes no messages`, {
    details: { peer },
    cause,
  })
}

/** The peer answered, and did not take it. */
export function messageRefused(peer: string, status: number, why: string): P2pnodeError {
  return new P2pnodeError('ERR_MESSAGE_REFUSED', 'denied', `${peer} did not take the message: ${why}`, {
    details: { peer, status },
  })
}

export function messageFailed(peer: string, cause: unknown): P2pnodeError {
  return new P2pnodeError('ERR_PEER_UNREACHABLE', 'unavailable', `the message did not reach ${peer}`, {
    details: { peer },
    cause,
  })
}

export function messageCancelled(cause: unknown): P2pnodeError {
  return new P2pnodeError('ERR_CANCELLED', 'cancelled', 'the message was called off', { cause })
}
