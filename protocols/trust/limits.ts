/** Bounds of the protocol; each is part of SPEC.md. */

/** A recommendation: two peer ids and five numbers. */
export const MAX_PAYLOAD_BYTES = 192

/** A score of 1. */
export const SCORE_PPM_MAX = 1_000_000

/** More evidence than this says nothing more. */
export const MAX_EVIDENCE = 1_000_000

/** Recommendations of one answer: some 12 KiB, and as many signatures to check: some 10 ms. */
export const MAX_PAGE = 64

/** Subjects that one request asks about. */
export const MAX_SUBJECTS = 16

/** Recommendations of one gossip message. */
export const MAX_BUNDLE = 16

export const MAX_REQUEST_BYTES = 2_048
export const MAX_RESPONSE_BYTES = 20 * 1_024
export const MAX_BUNDLE_BYTES = 5 * 1_024

/** Requests of one peer under way at once; each is a stream. */
export const MAX_STREAMS_PER_PEER = 4

/** Streams of all peers that are answered at once: an answer costs as much memory as its page. */
export const MAX_INBOUND_STREAMS = 64

/** A request or an answer that is not there after this ends the stream. */
export const EXCHANGE_TIMEOUT_MS = 10_000

/** How far the clocks of two peers may be apart. */
export const MAX_CLOCK_SKEW_MS = 5 * 60_000

/** What was seen longer ago says little about today. */
export const MAX_AGE_MS = 30 * 86_400_000
