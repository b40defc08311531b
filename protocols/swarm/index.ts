/**
 * Who belongs to a private network: what its owner and admins sign, the invitations that they give, and the door at which one
 * who was invited knocks.
 *
 * @example A door, on a libp2p of its own that has no other protocol, and a knock at it
 *
 * ```ts
 * const house = await createLibp2p({ …, services: { door: door({ networkName: 'main', admit, log }) } })
 * const text = formatInvitation({ swarm, door: keyOf(house.peerId), addresses: house.getMultiaddrs(), secret, expiresMs, network: 'main' })
 *
 * const invitation = parseInvitation(text)
 * const { statements, contacts } = await knock(await guest.dial(invitation.addresses, { signal }), invitation, 'laptop', signal)
 * ```
 *
 * SPEC.md beside this file describes what is signed, the invitation's text and the wire.
 *
 * Reading order: `types.ts` (the contract), `statement.ts` (what is signed), `invitation.ts`, `messages.ts`, `join.ts` (both
 * sides), `limits.ts` (every bound).
 */
import type { Startable, StreamHandler, StreamHandlerOptions } from '@libp2p/interface'
import type { Logger } from '../../src/telemetry/types.ts'
import { DoorService } from './join.ts'
import type { Admit } from './types.ts'

export interface DoorInit {
  /** Part of the protocol's id. */
  networkName: string
  admit: Admit
  log: Logger
}

/** Of libp2p, what the door uses. */
export interface DoorComponents {
  registrar: {
    handle(protocol: string, handler: StreamHandler, options: StreamHandlerOptions): Promise<void>
    unhandle(protocol: string): Promise<void>
  }
}

export function door(init: DoorInit): (components: DoorComponents) => Startable {
  return (components) => new DoorService(components, init)
}

export { knockFailed, welcomeInvalid } from './errors.ts'
export { formatInvitation, parseInvitation } from './invitation.ts'
export { joinProtocol, keyOf, knock } from './join.ts'
export { MAX_CONTACTS, MAX_NAME_CHARACTERS, MAX_STATEMENT_BYTES, SECRET_BYTES } from './limits.ts'
export {
  decodeStatement,
  hasNumberAfter,
  isForAdmins,
  isName,
  signStatement,
  verifyStatement,
} from './statement.ts'
export type * from './types.ts'
