import {
  type Invitation,
  isName,
  knock,
  knockFailed,
  MAX_NAME_CHARACTERS,
  parseInvitation,
  type Welcome,
  welcomeInvalid,
} from '../../protocols/swarm/index.ts'
import { keyOfAddress } from './address.ts'
import type { House } from './door.ts'
import { invitationExpired, nameInvalid, otherNetwork } from './errors.ts'
import { CLOCK_SKEW_MS, DIAL_TIMEOUT_MS } from './limits.ts'
import { Roster } from './roster.ts'

export interface JoiningOptions {
  house: Pick<House, 'visit'>
  networkName: string
  /** This node's public key. */
  self: Uint8Array
  now: () => number
}

/** What an invitation gives, before anything of it is kept. */
export interface Admission {
  invitation: Invitation
  welcome: Welcome
  standing: 'member' | 'admin'
  members: number
}

/**
 * Reads an invitation, without asking anybody.
 *
 * @throws ERR_INVITATION_INVALID, ERR_INVITATION_EXPIRED, ERR_SWARM_NETWORK
 */
export function readInvitation(token: string, { networkName, now }: JoiningOptions): Invitation {
  const invitation = parseInvitation(token.trim())
  if (invitation.network !== networkName) throw otherNetwork(invitation.network, networkName)
  if (invitation.expiresMs < now() - CLOCK_SKEW_MS) throw invitationExpired()
  return invitation
}

/**
 * Knocks at the door, and checks what comes out of it.
 *
 * @throws ERR_INVITATION_REFUSED, ERR_DOOR_UNREACHABLE, ERR_WELCOME_INVALID, the signal's reason
 */
export async function knockAt(
  invitation: Invitation,
  name: string,
  { house, self }: JoiningOptions,
  signal: AbortSignal,
): Promise<Admission> {
  const welcome = await welcomeAt(invitation, name, house, signal)
  const roster = new Roster(invitation.swarm)
  // The owner's words first: what admins say counts by them.
  for (const statement of welcome.statements.toSorted((a, b) => a.under - b.under)) roster.take(statement)
  const standing = roster.standing(self)
  if (standing !== 'member' && standing !== 'admin')
    throw welcomeInvalid(new Error('a welcome that does not make this node a member'))
  const members = roster.rulings().filter((ruling) => ruling.standing !== 'out').length
  // Of members alone: a door must not make its guests dial whomever it likes, at every start.
  const contacts = welcome.contacts.filter((address) => {
    const key = keyOfAddress(address)
    return key !== undefined && roster.standing(key) !== undefined && roster.standing(key) !== 'out'
  })
  return { invitation, welcome: { ...welcome, contacts }, standing, members }
}

async function welcomeAt(
  invitation: Invitation,
  name: string,
  house: Pick<House, 'visit'>,
  signal: AbortSignal,
): Promise<Welcome> {
  let visit: Awaited<ReturnType<House['visit']>>
  try {
    visit = await house.visit(invitation, AbortSignal.any([signal, AbortSignal.timeout(DIAL_TIMEOUT_MS)]))
  } catch (error) {
    signal.throwIfAborted()
    throw knockFailed(error)
  }
  try {
    return await knock(visit.connection, invitation, name, signal)
  } finally {
    await visit.leave()
  }
}

/** @throws ERR_SWARM_NAME */
export function checkName(name: string): void {
  if (name !== '' && !isName(name)) throw nameInvalid(MAX_NAME_CHARACTERS)
}
