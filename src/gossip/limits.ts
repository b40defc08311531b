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
/** Bytes that this node has said and that wait for the end of the turn of the event loop; as many again may wait for its pace. */
export const MAX_WAITING_TO_SEND_BYTES = 4 * 1024 * 1024
/**
 * What this node says under a topic keeps to this part of what others allow each author: on the way messages come closer together, and
 * clocks are not all as fast.
 */
export const OWN_PACE = 0.75
/** Messages of services that wait, under one topic, until this node may say more. */
export const MAX_WAITING_FOR_PACE = 256
