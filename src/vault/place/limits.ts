/** Peers that are asked for their capacity at once. */
export const SURVEY_CONCURRENCY = 16
/** A peer that does not say within this what it offers is not a candidate now. */
export const CAPACITY_TIMEOUT_MS = 2_000
/** An answer counts for so long: puts of small files come one after the other. */
export const CAPACITY_FRESH_MS = 5_000
/** Where a peer is too slow to answer now, what it said within this still counts. */
export const CAPACITY_STALE_MS = 60_000
/**
 * A peer that did not answer is not waited for again within this: a laptop asleep behind a connection that still stands would add
 * its time-out to every put. It is asked meanwhile, and counts again with its answer.
 */
export const CAPACITY_SILENT_MS = 30_000
/** Answers that are remembered: more than peers can be connected (network.maxConnections, 300 by default). */
export const CAPACITY_REMEMBERED = 1_024
/** Reasons that an error lists; the rest is counted. */
export const REASONS_SHOWN = 8
