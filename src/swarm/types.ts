import type { Standing } from '../../protocols/swarm/index.ts'

/** What this node is to its swarm: `owner` where it has the owner's key. */
export type Role = 'owner' | 'admin' | 'member' | 'out'

/** What a peer is in the swarm of this node, as an operator asks about it; `none` of whom nothing was ever said. */
export type PeerMembership = Exclude<Role, 'out'> | 'revoked' | 'none'

export interface SwarmStatus {
  /** The owner's public key as did:key. */
  swarm: string
  /** Name of the network that it is on. */
  network: string
  role: Role
  /** Peers that may take part, this node included. */
  members: number
  /** Grows with every change of the list; equal where lists are equal. */
  version: number
  /** Invitations of this node that are open. */
  invitations: number
  /** Where the door listens; empty while it is closed. */
  door: string[]
  /** Whether connections are under a pre-shared key as well. */
  networkKey: boolean
}

export interface Member {
  peer: string
  did: string
  standing: Standing
  /** What people call it; may be empty. */
  name: string
  /** When it became what it is, by the clock of who said so. */
  sinceMs: number
  /** Who said so: a peer, or the owner where it is null. */
  by: string | null
  self: boolean
}

export interface InvitationSummary {
  /** First 16 hexadecimal digits of the SHA-256 of its secret: names it, and opens nothing. */
  id: string
  name: string
  standing: 'member' | 'admin'
  createdMs: number
  expiresMs: number
  state: 'open' | 'used' | 'expired'
  /** The peer that came in with it. */
  usedBy: string | null
}

export interface Joined {
  swarm: string
  standing: 'member' | 'admin'
  /** Members known by now; the rest of the list comes from them. */
  members: number
  /** A member that this node is connected to, if it was reached. */
  connected: string | null
  /** Whether the node must be started again, with `network.psk`, before it can talk to the others. */
  restart: boolean
}

/** Whether a peer may take part in what this node takes part in; asked for everything, so it must cost nothing. */
export interface Membership {
  /** True for everybody on a node that is in no swarm. */
  admits(peer: string): boolean
  /** Calls back when somebody came or went. */
  onChange(listener: () => void): void
}

/** A private network as an operator sees it. */
export interface SwarmService {
  /** Null where this node is in no swarm. */
  status(): SwarmStatus | null
  /** Null where this node is in no swarm. Only this node is known to be the owner: the key does not say which peer has it. */
  membershipOf(peer: string): PeerMembership | null
  /**
   * Makes a swarm with this node as its first admin; whoever is no member is cut off. The words bring the owner's key back.
   *
   * @throws ERR_SWARM_EXISTS, ERR_SWARM_PUBLIC, ERR_SWARM_NAME, ERR_SWARM_KEY_…
   */
  create(options: {
    name: string
    withNetworkKey: boolean
  }): Promise<{ swarm: string; phrase: string; restart: boolean }>
  /**
   * Opens the door for one peer, once.
   *
   * @throws ERR_SWARM_NONE, ERR_SWARM_POWER, ERR_SWARM_NAME, ERR_SWARM_TERM, ERR_INVITATIONS_FULL, ERR_DOOR_LISTEN
   */
  invite(options: {
    name: string
    standing: 'member' | 'admin'
    termMs: number
  }): Promise<{ token: string; id: string; expiresMs: number; addresses: string[] }>
  /** Newest first. */
  invitations(): InvitationSummary[]
  /** Takes an open invitation back. @throws ERR_INVITATION_UNKNOWN */
  withdraw(id: string): Promise<void>
  /**
   * Knocks at the door of an invitation and becomes a member. Whoever is no member is cut off.
   *
   * @throws ERR_INVITATION_INVALID, ERR_INVITATION_EXPIRED, ERR_INVITATION_REFUSED, ERR_DOOR_UNREACHABLE, ERR_WELCOME_INVALID,
   * ERR_SWARM_EXISTS, ERR_SWARM_PUBLIC, ERR_SWARM_NETWORK, ERR_NETWORK_KEY_OTHER, ERR_CANCELLED
   */
  join(token: string, name: string, signal: AbortSignal): Promise<Joined>
  /** Those that are out as well, where `all`. @throws ERR_SWARM_NONE */
  members(options: { all: boolean }): Member[]
  /** Makes an admin of a member, or a member of an admin. @throws ERR_SWARM_NONE, ERR_SWARM_POWER, ERR_SWARM_MEMBER_UNKNOWN, ERR_SWARM_SELF */
  appoint(peer: string, standing: 'member' | 'admin'): Promise<Member>
  /**
   * Puts a member out: its connections end here at once and elsewhere as soon as the word arrives. Of an admin the owner says what
   * becomes of those that it let in: they stay, or with `withInvited` go with it.
   *
   * @returns who was put out, and how many members were told directly
   * @throws ERR_SWARM_NONE, ERR_SWARM_POWER, ERR_SWARM_MEMBER_UNKNOWN, ERR_SWARM_SELF
   */
  revoke(peer: string, options: { withInvited: boolean }): Promise<{ revoked: string[]; told: number }>
  /** Forgets the swarm: this node is open to everybody again. The others keep it on their list. @throws ERR_SWARM_NONE */
  leave(): Promise<void>
  /** The words that bring the owner's key back. @throws ERR_SWARM_NONE, ERR_SWARM_POWER */
  phrase(): string
  /** Makes this member the owner's node. @throws ERR_SWARM_NONE, ERR_PHRASE_INVALID, ERR_SWARM_OWNER */
  recover(phrase: string): Promise<SwarmStatus>
}
