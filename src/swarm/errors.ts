import { P2pnodeError } from '../../protocols/shared/errors.ts'

export function noSwarm(): P2pnodeError {
  return new P2pnodeError(
    'ERR_SWARM_NONE',
    'not-found',
    'this node is in no swarm: p2pnode swarm create makes one, p2pnode swarm join takes an invitation to one',
  )
}

/** A node is in one swarm at a time. */
export function swarmExists(swarm: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_SWARM_EXISTS',
    'conflict',
    `this node is in the swarm ${swarm} already; another one takes another node (p2pnode --home DIR), or p2pnode swarm leave first`,
    { details: { swarm } },
  )
}

/** A member of the public network talks to everybody, a member of a swarm to nobody else. */
export function swarmPublic(): P2pnodeError {
  return new P2pnodeError(
    'ERR_SWARM_PUBLIC',
    'conflict',
    'network.mode is public, and a node is in a swarm or on the open network, not in both: run two nodes, each with its own --home',
  )
}

/** The swarm lives on a network of another name; nothing was asked of its door. */
export function otherNetwork(wanted: string, own: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_SWARM_NETWORK',
    'conflict',
    `the swarm is on the network "${wanted}" and this node on "${own}": set network.name to ${wanted} (p2pnode config set network.name ${wanted}), start again, then join`,
    { details: { network: wanted, own } },
  )
}

export function invitationExpired(): P2pnodeError {
  return new P2pnodeError(
    'ERR_INVITATION_EXPIRED',
    'denied',
    'the invitation has expired; ask for another one',
  )
}

export function invitationUnknown(id: string): P2pnodeError {
  return new P2pnodeError('ERR_INVITATION_UNKNOWN', 'not-found', `there is no open invitation ${cut(id)}`, {
    details: { invitation: cut(id) },
  })
}

export function invitationsFull(max: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_INVITATIONS_FULL',
    'too-large',
    `${max} invitations are open, which is the bound; take some back first (p2pnode swarm invitations)`,
    { details: { max } },
  )
}

/** @param needed who may do it */
export function notAllowed(what: string, needed: 'the owner' | 'an admin'): P2pnodeError {
  return new P2pnodeError('ERR_SWARM_POWER', 'denied', `${what} takes ${needed} of the swarm`, {
    details: { needed: needed === 'the owner' ? 'owner' : 'admin' },
  })
}

export function notAMember(peer: string): P2pnodeError {
  return new P2pnodeError('ERR_SWARM_MEMBER_UNKNOWN', 'not-found', `${cut(peer)} is no member of the swarm`, {
    details: { peer: cut(peer) },
  })
}

export function notYourself(): P2pnodeError {
  return new P2pnodeError(
    'ERR_SWARM_SELF',
    'usage',
    'a node neither revokes nor demotes itself; p2pnode swarm leave ends its membership',
  )
}

export function nameInvalid(maxCharacters: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_SWARM_NAME',
    'usage',
    `a name is one line of 1 to ${maxCharacters} characters without spaces at its ends`,
    { details: { maxCharacters } },
  )
}

export function termInvalid(minMs: number, maxMs: number): P2pnodeError {
  return new P2pnodeError(
    'ERR_SWARM_TERM',
    'usage',
    `an invitation is open for ${minMs / 1000} seconds to ${maxMs / 86_400_000} days`,
    { details: { minMs, maxMs } },
  )
}

export function listFull(max: number): P2pnodeError {
  return new P2pnodeError('ERR_SWARM_FULL', 'too-large', `the swarm's list is full (${max})`, {
    details: { max },
  })
}

/** An admin has used up the numbers that admins have for a peer, which no honest one does; the owner has more. */
export function numbersUsedUp(peer: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_SWARM_NUMBERS',
    'conflict',
    `no statement of an admin about ${cut(peer)} can follow the last one: the owner alone can speak of it now`,
    { details: { peer: cut(peer) } },
  )
}

export function otherOwner(): P2pnodeError {
  return new P2pnodeError('ERR_SWARM_OWNER', 'denied', 'these words are not those of the owner of this swarm')
}

/** There is a key of another swarm's owner, which may be the only copy. */
export function ownerKeyKept(path: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_SWARM_KEY_KEPT',
    'conflict',
    `${path} is the key of another swarm's owner and is not overwritten; move it away first`,
    { details: { path } },
  )
}

export function doorFailed(cause: unknown): P2pnodeError {
  return new P2pnodeError(
    'ERR_DOOR_LISTEN',
    'failed',
    `the door cannot be opened at an address of swarm.listen: ${(cause as Error).message}`,
    { cause },
  )
}

export function doorNowhere(): P2pnodeError {
  return new P2pnodeError('ERR_DOOR_LISTEN', 'usage', 'there is no address for a door: swarm.listen is empty')
}

/** Foreign text in a message is cut, so that a message stays a line. */
function cut(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
