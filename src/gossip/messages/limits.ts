/** A message older than this is not taken: long enough for slow networks and clocks that differ, and what has to be remembered. */
export const MAX_AGE_MS = 5 * 60_000
/** How far a sender's clock may be ahead of this node's. */
export const MAX_AHEAD_MS = 60_000
/** Gossip topics over which applications' topics are spread; SPEC.md of protocols/message. */
export const PARTS = 16
/** Of one author in one part: more than people type, and enough for programs that talk all day. */
export const AUTHOR_RATE = { perSecond: 200, burst: 1_000 } as const
/** The same of one peer that writes to this node alone. */
export const SENDER_RATE = { perSecond: 50, burst: 200 } as const
/** Senders of whom it is remembered what came, some 4 KiB each at most; the longest silent is forgotten first. */
export const MAX_SENDERS = 10_000
/** Sequence numbers remembered of a sender: gossip brings messages out of order by less. */
export const SEQUENCES_PER_SENDER = 256
/** What was remembered is written so often: a crash forgets no more. */
export const WRITE_INTERVAL_MS = 1_000
/** Programs that listen at once, over the API and in this process. */
export const MAX_LISTENERS = 64
/** Messages and bytes that wait for one of them; later ones are dropped, and it is told how many. */
export const MAX_WAITING_MESSAGES = 256
export const MAX_WAITING_BYTES = 4 * 1024 * 1024
