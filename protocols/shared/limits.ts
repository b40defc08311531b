/** Bounds that every protocol of the network shares; a protocol's own are in its `limits.ts`. */

/** A control message carries ids, counts and lists of CIDs; 64 KiB is a list of well over a thousand. */
export const MAX_CONTROL_MESSAGE_BYTES = 64 * 1024

/** Data in one frame: 1 MiB is the size of a UnixFS leaf, and below every transport's buffer (4 MiB). */
export const MAX_FRAME_DATA_BYTES = 1024 * 1024

/** What comes before the data in a data frame: a CID of the longest kind and a few numbers, with room to spare. */
export const MAX_FRAME_HEADER_BYTES = 256

export const MAX_FRAME_BYTES = MAX_FRAME_DATA_BYTES + MAX_FRAME_HEADER_BYTES

/** A length prefix of a frame within the bound above takes at most so many bytes (7 bits each). */
export const MAX_LENGTH_PREFIX_BYTES = 3

/** Control messages that wait for a stream which takes no more; a peer that never reads must not make us remember more. */
export const MAX_QUEUED_CONTROL_BYTES = 256 * 1024

/** Longest CID that is accepted: 64 bytes of digest with its prefixes, and short identity CIDs. */
export const MAX_CID_BYTES = 128

/** A peer id as a multihash: Ed25519 keys take 38 bytes, hashed ones 34. */
export const MAX_PEER_BYTES = 64

/** Bytes that a sender may be allowed at once. More is a mistake or an attempt to overflow the counter. */
export const MAX_CREDIT_BYTES = 256 * 1024 * 1024

/**
 * A sender that has less credit than its next frame needs waits so long for the rest, then makes the frame smaller. A
 * receiver grants a quarter of its window at a time, which comes sooner than this from all but those that are held back.
 */
export const CREDIT_PATIENCE_MS = 250
