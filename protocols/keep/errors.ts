import { P2pnodeError } from '../shared/errors.ts'
import { Status } from '../shared/status.ts'

/** Why a holder refuses, beside the statuses that every protocol has. Numbers as on the wire. */
export const KeepStatus = {
  ...Status,
  /** no room for it */
  noSpace: 32,
} as const

const REASONS: Readonly<Record<number, string>> = {
  [KeepStatus.refused]: 'the peer does not keep anything for this node',
  [KeepStatus.invalid]: 'the peer calls the request invalid',
  [KeepStatus.busy]: 'the peer has too much under way',
  [KeepStatus.noSpace]: 'the peer has no room',
}

/** A request that was refused, by this node or by a peer. `status` is what goes over the wire. */
export class KeepRefusedError extends P2pnodeError {
  readonly status: number

  constructor(status: number) {
    const kind = status === KeepStatus.noSpace ? 'no-space' : 'unavailable'
    super('ERR_KEEP_REFUSED', kind, REASONS[status] ?? 'the peer could not do it', { details: { status } })
    this.name = 'KeepRefusedError'
    this.status = status
  }
}

/** The peer could not be asked, or did not answer. */
export function keepFailed(peer: string, cause: unknown): P2pnodeError {
  return new P2pnodeError('ERR_KEEP_FAILED', 'unavailable', `${peer} did not answer`, { cause })
}

/** This node's own policy, asked before anything is sent. */
export function peerDenied(peer: string, reason: string): P2pnodeError {
  return new P2pnodeError('ERR_PEER_DENIED', 'denied', 'trust does not allow this peer', {
    details: { peer, reason },
  })
}
