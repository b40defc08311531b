/** A message older than this is not taken: long enough for slow networks and clocks that differ, and what has to be remembered. */
export const MAX_AGE_MS = 5 * 60_000
/** How far a sender's clock may be ahead of this node's. */
export const MAX_AHEAD_MS = 60_000
/** Senders of whom it is remembered what came, some 4 KiB each at most; the longest silent is forgotten first. */
export const MAX_SENDERS = 10_000
/** Senders of whom there is a number on disk, 100 bytes each: more than speak in twelve minutes, unless somebody makes up names. */
export const MAX_STORED_SENDERS = 50_000
/** Sequence numbers remembered of a sender: gossip brings messages out of order by less. */
export const SEQUENCES_PER_SENDER = 256
/** What was remembered is written so often: a crash forgets no more. */
export const WRITE_INTERVAL_MS = 1_000
/** Authors whose rate of payloads is remembered, by topic: about 100 bytes each. */
export const MAX_RATED_AUTHORS = 20_000
/** Bytes that this node has said and that wait for the end of the turn of the event loop. */
export const MAX_WAITING_TO_SEND_BYTES = 4 * 1024 * 1024
