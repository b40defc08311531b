import { P2pnodeError } from '../shared/errors.ts'
import { Status } from '../shared/status.ts'

/** What was given is no invitation of a form that this version knows. */
export function invitationInvalid(reason: string): P2pnodeError {
  return new P2pnodeError('ERR_INVITATION_INVALID', 'usage', `this is no usable invitation: ${reason}`)
}

/** The door answered, and stays closed. */
export function knockRefused(status: number): P2pnodeError {
  const why: Readonly<Record<number, string>> = {
    [Status.refused]: 'the invitation is unknown there, was used, was taken back or has expired',
    [Status.invalid]: 'this node did not ask as that door expects',
    [Status.busy]: 'too many knock at once; try again in a moment',
  }
  const text = why[status] ?? 'it could not be looked up there; try again later'
  return new P2pnodeError('ERR_INVITATION_REFUSED', 'denied', `the door stays closed: ${text}`, {
    details: { status },
  })
}

export function knockFailed(cause: unknown): P2pnodeError {
  const text =
    'nobody opened at the addresses of the invitation: the node that invites must run, and be reachable there'
  return new P2pnodeError('ERR_DOOR_UNREACHABLE', 'unavailable', text, { cause })
}

/** Whoever answered is the door that was named, and what it says is not what a door says. */
export function welcomeInvalid(cause: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_WELCOME_INVALID',
    'verification',
    'the door answered with something that does not hold; nothing of it was taken',
    { cause },
  )
}
