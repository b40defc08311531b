import type { Multiaddr } from '@multiformats/multiaddr'

/** What a peer is to a swarm. `out`: it was a member and is no longer one. */
export type Standing = 'member' | 'admin' | 'out'

/** What the owner or an admin says of one peer. Keys are Ed25519 public keys of 32 bytes. */
export interface Statement {
  subject: Uint8Array
  standing: Standing
  /** Of two statements about a peer the one with the greater number holds. */
  number: number
  /** By the signer's clock; shown to people, decides nothing. */
  timeMs: number
  /** What people call the peer; may be empty. */
  name: string
  /** The swarm's own key where the owner says so, else that of an admin. */
  signer: Uint8Array
  /** Number of the owner's statement that made the signer an admin; 0 where the owner signs. */
  under: number
}

/** A statement whose signature was checked, or that was just made. */
export interface SignedStatement extends Statement {
  /** As it travels and lies on disk: `signature ‖ payload`. */
  readonly bytes: Uint8Array
  /** SHA-256 of `bytes`: the same with everybody. */
  readonly id: Uint8Array
}

export interface Invitation {
  /** The owner's public key. */
  swarm: Uint8Array
  /** Public key of the door. */
  door: Uint8Array
  addresses: Multiaddr[]
  secret: Uint8Array
  expiresMs: number
  /** Name of the network that the swarm is on. */
  network: string
}

export interface Knock {
  secret: Uint8Array
  name: string
}

/** What a newcomer gets. */
export interface Welcome {
  /** The newcomer's own first; their signatures were checked by whoever decoded them with `verifyStatement`. */
  statements: SignedStatement[]
  /** Each ends in a peer id. */
  contacts: Multiaddr[]
  /** The pre-shared key of the network, where it has one. */
  networkKey?: Uint8Array
}

/**
 * Says whether a peer may come in with this secret, and what it gets; a status of shared/SPEC.md otherwise. The connection has proven
 * the peer's key.
 */
export type Admit = (
  subject: Uint8Array,
  knock: Knock,
  signal: AbortSignal,
) => Promise<{ status: number; welcome?: Welcome }>
