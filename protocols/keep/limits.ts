/** Bounds of the protocol; each is part of SPEC.md. */

/** Longest name in bytes of UTF-8: what file systems allow. */
export const MAX_NAME_BYTES = 255

/** An announcement as a whole. */
export const MAX_ANNOUNCEMENT_BYTES = 512

/** A statement: a CID, two peer ids and three numbers. */
export const MAX_PAYLOAD_BYTES = 384

/** A request or a response. */
export const MAX_MESSAGE_BYTES = 1_024

/** Requests of one peer under way at once; each is a stream. */
export const MAX_STREAMS_PER_PEER = 8

/** A request or an answer that is not there after this ends the stream. */
export const EXCHANGE_TIMEOUT_MS = 10_000

/** How far the clocks of two peers may be apart. */
export const MAX_CLOCK_SKEW_MS = 5 * 60_000

/** A statement is refused when it is older than this, and announcements are: so that none can be played again for long. */
export const MAX_STATEMENT_AGE_MS = 10 * 60_000

/** The longest that a holder may promise for. */
export const MAX_TERM_MS = 90 * 86_400_000
