/** Bounds of the protocol. Those of messages are part of SPEC.md. */

/** Bytes of an id: a SHA-256. */
export const ID_BYTES = 32

/** Bytes of what stands for an id while a session lasts: two of a million ids are the same once in 40 million sessions. */
export const TAG_BYTES = 8

/** Bytes of a session's key: of AES-128. */
export const KEY_BYTES = 16

/** Longest entry that a set may have: half of a message. */
export const MAX_ENTRY_BYTES = 32 * 1024

/** Entries handed to a set at once, and asked for at once: some 20 ms of signatures. */
export const MAX_BATCH_ENTRIES = 256

/** Bytes of entries in one message; below a control message (64 KiB) by what protobuf puts around them. */
export const MAX_BATCH_BYTES = 60 * 1024

/** Parts of ranges in one question: with bounds as long as ids, 45 KiB. */
export const MAX_PARTS = 1_024

/** Bytes of an answer's differences; with the last one, which may go over it, below a control message. */
export const MAX_ANSWER_BYTES = 48 * 1024

/** Parts into which a range is cut that differs. */
export const CUT_PARTS = 16

/** The most parts into which an answerer may cut one. */
export const MAX_CUT_PARTS = 64

/** A part that differs and holds no more than this is listed, which costs no more than to cut it again. */
export const LISTED_ENTRIES = 32

/** Tags in one list: 8 KiB. A longer one is cut instead. */
export const MAX_LISTED_ENTRIES = 1_024

/** Tags in one offer: 8 KiB. */
export const MAX_OFFERED = 1_024

/** Ranges that an asker keeps to ask about: more than an honest answerer's cuts make of a million entries. */
export const MAX_OPEN_RANGES = 65_536

/** Sets of one node: catalogue, membership and the like, not users'. */
export const MAX_SETS = 16

/** Entries of one set that are compared; ids and sums of so many take 40 MB while a session lasts. */
export const MAX_SET_ENTRIES = 1_000_000

/** Entries that one session brings each way; the next one goes on. A MiB or two of bookkeeping, minutes of signatures. */
export const MAX_SESSION_ENTRIES = 16_384

/**
 * Entries of one session that were here already: some come by gossip or from another peer meanwhile. More of them are signatures
 * that are checked for nothing, and the session ends.
 */
export const MAX_KNOWN_ENTRIES = 1_024

/** Questions in one session: at most 64 MiB each way, whatever the other side says. The next session goes on. */
export const MAX_EXCHANGES = 1_024

/** Sessions that this node has with others at once, of its own asking. Each peer has one. */
export const MAX_OUTBOUND_SESSIONS = 4

/** Sessions of others at once, and those of one peer. */
export const MAX_INBOUND_SESSIONS = 8
export const MAX_INBOUND_SESSIONS_PER_PEER = 2

/** A question or an answer that is not there after so long ends the session: signatures of a batch on a busy node. */
export const EXCHANGE_TIMEOUT_MS = 20_000

/** The longest that a session may last. */
export const SESSION_TIMEOUT_MS = 5 * 60_000

/** Sorted ids of a set that has not changed are kept so long after their last use, for the next session. */
export const SNAPSHOT_KEEP_MS = 30_000

/** Ids asked of a set at a time. */
export const IDS_PAGE = 1_000

/** Ids of each set that were refused and are not asked for again: 1 MB. */
export const MAX_REFUSALS = 10_000

/** After this they are asked for again: what was refused for want of room may find some. */
export const REFUSAL_MS = 3_600_000
