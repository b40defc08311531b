/** Bounds of what is kept of peers' capabilities, each with its reason. */

/** Peers whose capabilities are remembered, those that left included: about 2 KiB each. */
export const MAX_PEERS = 512

/** Filters of all of them: 128 of the largest, or thousands of the usual few KiB. */
export const MAX_FILTERS_BYTES = 8 * 1024 * 1024

/**
 * Filters of one peer that are fetched in a time, whatever it says has changed: the one it comes with, and the one that is made
 * of what it adds first. Three of 64 KiB in it are 330 B a second.
 */
export const FILTER_INTERVAL_MS = 10 * 60_000
export const MAX_FILTERS_PER_INTERVAL = 3

/** A filter comes in one block of at most 64 KiB; a peer that needs longer is too slow to be asked for content. */
export const FILTER_TIMEOUT_MS = 20_000

/** Peers that are asked at the same time: what it takes is mostly waiting. */
export const CONCURRENT_EXCHANGES = 4

/** Whoever was dialled waits so long to be told before it tells by itself. */
export const LISTENER_PATIENCE_MS = 2_000

/** Changes come in groups (a tree is added, then its pin): they are gathered for so long. */
export const SETTLE_MS = 2_000

/** Pins that are read at a time; about 2 ms on the event loop. */
export const PINS_PAGE = 1_000

/** Free storage is told in steps of this: who watches it shall not learn what is stored when. */
export const FREE_STEP_BYTES = 64 * 1024 * 1024
