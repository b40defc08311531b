/** One provide is a walk and 20 sends; what is not done by then will not be. */
export const PROVIDE_TIMEOUT_MS = 60_000

/** Records in the queue. A row and its indexes take some 250 bytes: 250 MB at worst, and 13 provides a second over 22 h. */
export const MAX_RECORDS = 1_000_000

/** Rows read or written in one step on the event loop: some 3 ms. */
export const STEP_ROWS = 250

/** Records that are taken from the table at a time, so that not each provide asks it. */
export const TAKEN_ROWS = 64

/** A record that could not be announced is tried again after this, doubled each time up to the limit: a DHT fills within seconds. */
export const RETRY_MS = 5_000
export const RETRY_LIMIT_MS = 60 * 60_000

/**
 * The DHT takes a peer into its table a moment after it was identified, if at all: looked for after this, and while there
 * is none after twice as long each time up to the limit.
 */
export const ROUTES_AFTER_MS = 500
export const ROUTES_LIMIT_MS = 60_000

/** Longest sleep of the queue: a timer takes no more than 24 days, and a clock may be set meanwhile. */
export const LONGEST_SLEEP_MS = 60 * 60_000

/** With the strategy `pinned`: blocks of a new pin are looked for once so long no further pin has come. */
export const SYNC_AFTER_MS = 5_000
