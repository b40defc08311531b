/**
 * Statements that a node keeps, about 500 bytes each in memory and on disk: 8 MB. A swarm is people's machines, not the Internet.
 * Beyond it the owner may still speak of each peer of whom an admin has spoken, which adds at most what is not its reserve.
 */
export const MAX_STATEMENTS = 16_384
/** Of these, so many are left to the owner, whatever admins have said. */
export const OWNER_RESERVE = 4_096
/** Each may admit and revoke everybody who is no admin. */
export const MAX_ADMINS = 32
/** Statements that are signed and written together: a few milliseconds of the event loop. */
export const STATEMENTS_AT_ONCE = 256
/** Statements of an admin whose appointment has not come yet; the oldest go first, and come again by anti-entropy. */
export const MAX_WAITING = 256

/** Invitations that are open at once; each keeps the door open. */
export const MAX_INVITATIONS = 256
/** Used and expired ones that are remembered, to be shown and to let the same peer ask again. */
export const MAX_INVITATIONS_KEPT = 1_024
export const DEFAULT_TERM_MS = 24 * 3_600_000
export const MIN_TERM_MS = 1_000
export const MAX_TERM_MS = 30 * 24 * 3_600_000
/** A machine whose clock is behind may still use what has just expired by it; the door decides by its own. */
export const CLOCK_SKEW_MS = 5 * 60_000

/** Opening the connection to a door, over whichever of its addresses answers. */
export const DIAL_TIMEOUT_MS = 15_000
/** How long `join` waits for the first connection to a member before it says that there is none yet. */
export const FIRST_CONTACT_MS = 10_000
/** Pauses between later attempts, doubled each time. */
export const CONTACT_BACKOFF = { firstMs: 15_000, maxMs: 15 * 60_000 } as const
/** Members whose addresses a newcomer gets, and addresses of each. */
export const CONTACT_PEERS = 8
export const ADDRESSES_PER_CONTACT = 4

/** Messages of one author: an admin that sets up fifty machines at once, with room. */
export const AUTHOR_RATE = { perSecond: 20, burst: 256 } as const
/** Of one change no more are told by gossip; anti-entropy brings the rest. */
export const MAX_TOLD = 128

/** Members that are asked about somebody who is not known. */
export const REFRESH_PEERS = 3
/** Below the time that a handshake may take (10 s). */
export const REFRESH_TIMEOUT_MS = 3_000
/** Rounds of questions: strangers cost nothing to make, and each new one asks for a round. */
export const REFRESH_RATE = { perSecond: 0.5, burst: 4 } as const
/** Who was asked about is not asked about again for so long: shorter than the pauses in which a node tries again. */
export const REFRESH_PAUSE_MS = 5_000
export const MAX_REFRESHED = 4_096
/** What comes within so long is passed on together. */
export const PASS_ON_MS = 200
/** Neighbours with whom a node compares again when one has brought it something new. */
export const PASS_ON_PEERS = 8
export const COMPARE_TIMEOUT_MS = 60_000
