import { P2pnodeError } from '../shared/errors.ts'
import { Status } from '../shared/status.ts'

/** The peer does not know the protocol, or not this set. */
export function reconcileUnsupported(peer: string, set: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError('ERR_RECONCILE_UNSUPPORTED', 'unavailable', `${peer} does not know "${set}"`, {
    details: { peer, set },
    cause,
  })
}

const WHY: Readonly<Record<number, string>> = {
  [Status.refused]: 'this node may not ask',
  [Status.busy]: 'it has too much under way',
  [Status.budget]: 'it has answered enough for one session',
}

/** The peer answered, and does not go on. `status` is what came over the wire. */
export function reconcileRefused(peer: string, set: string, status: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_RECONCILE_REFUSED',
    'unavailable',
    `${peer} does not compare "${set}": ${WHY[status] ?? `status ${status}`}`,
    { details: { peer, set, status } },
  )
}

export function reconcileFailed(peer: string, set: string, cause: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_RECONCILE_FAILED',
    'unavailable',
    `comparing "${set}" with ${peer} broke off`,
    {
      details: { peer, set },
      cause,
    },
  )
}

/** This node's own policy, asked before anything is sent. */
export function peerDenied(peer: string, reason: string): P2pnodeError {
  return new P2pnodeError('ERR_PEER_DENIED', 'denied', 'trust does not allow this peer', {
    details: { peer, reason },
  })
}

export function reconcileCancelled(cause: unknown): P2pnodeError {
  return new P2pnodeError('ERR_CANCELLED', 'cancelled', 'the comparison was called off', { cause })
}

/** More entries than are compared. */
export function setTooLarge(set: string, maxEntries: number): P2pnodeError {
  return new P2pnodeError('ERR_SET_TOO_LARGE', 'too-large', `"${set}" has more than ${maxEntries} entries`, {
    details: { set, maxEntries },
  })
}
