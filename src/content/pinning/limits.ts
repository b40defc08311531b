/** Every bound of the pinning service, with its unit and its reason. */

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS

/** Requests on record, in all states: a search by name looks at every row, some 20 ms with so many. */
export const MAX_REQUESTS = 50_000
/** The specification's bounds on a request, and one on what `meta` may weigh: it is a row. */
export const MAX_ORIGINS = 20
export const MAX_META_KEYS = 1_000
export const MAX_META_BYTES = 32 * 1024
export const MAX_ORIGIN_CHARACTERS = 1024

/** Requests with a job: the jobs of all kinds together are bounded at a thousand. */
export const MAX_BEGUN = 64
/** Dialled at once for one request, and how long it waits for them: content may be found without. */
export const ORIGIN_DIALS = 4
export const ORIGINS_TIMEOUT_MS = 10 * SECOND_MS

/** Content that nobody has is looked for again: who asked may be bringing it up. After so long the request has failed. */
export const PATIENCE_MS = 60 * MINUTE_MS
export const FIRST_RETRY_MS = 5 * SECOND_MS
export const LONGEST_RETRY_MS = 5 * MINUTE_MS
/** Between two tries to hand jobs over while there are too many. */
export const BUSY_RETRY_MS = 10 * SECOND_MS
/** Longest sleep without anything to do: Node's timers end at 24 days. */
export const MAX_SLEEP_MS = 60 * MINUTE_MS
