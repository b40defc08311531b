/** One round: each set is compared with one peer, chosen anew. What gossip lost reaches n nodes within some log₂ n rounds. */
export const ROUND_MS = 60_000
/** Part of a round by which each is early or late, so that nodes which start together do not ask together. */
export const ROUND_JITTER = 0.25
/** After a peer has connected: it tells what it speaks, and gossip's own exchange comes first. */
export const SETTLE_MS = 1_000
/** A set that is known to have missed something is compared so soon, once for all that it missed until then. */
export const HASTE_MS = 2_000
/** Sessions in a row with one peer over one set, where one had no room for the whole difference. */
export const MAX_SESSIONS_IN_A_ROW = 32
/** Peers that wait for their turn; each is one connection. */
export const MAX_WAITING_PEERS = 1_024
/** Sessions under way at once, of all sets. */
export const CONCURRENT_SESSIONS = 2
/** A peer that refused or broke off is left alone for a set. Of so many pairs of peer and set it is remembered. */
export const LEFT_ALONE_MS = 5 * 60_000
export const MAX_LEFT_ALONE = 4_096
/** What one peer may have this node look at: every set when it connects, then each once a round, and what it heard of by itself. */
export const SESSION_RATE = { perSecond: 1, burst: 128 } as const
/** Peers whose rate is remembered. */
export const MAX_RATED_PEERS = 1_024
