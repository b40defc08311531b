/** Bytes of an id: a SHA-256. */
export const ID_BYTES = 32

/** Longest entry that a set may have: what gossip carries as one piece. */
export const MAX_ENTRY_BYTES = 64 * 1024

/** Entries handed to a set at once. */
export const MAX_BATCH_ENTRIES = 256

/** Sets of one node: catalogue, membership and the like, not users'. */
export const MAX_SETS = 16
