/** Policies of a node; each is asked for every announcement and every reading. */
export const MAX_POLICIES = 64

/** What one policy keeps at most, however small: a row each. */
export const MAX_ITEMS_PER_POLICY = 10_000

/** Acquisitions that wait for their turn; what is announced meanwhile is passed over. */
export const MAX_WAITING_ACQUISITIONS = 64

/** Beside the content itself a DAG has its inner nodes (below 1 %); and small content has a few of them all the same. */
export const OVERHEAD_SHARE = 1 / 16
export const OVERHEAD_BYTES = 1024 * 1024

/** Nothing is fetched for a policy or a promise where the quota would be filled beyond this: people need room too. */
export const FULL_SHARE = 0.9

/** Policies look at what has expired no more often than this, and at least this often. */
export const EXPIRE_MIN_MS = 1_000
export const EXPIRE_MAX_MS = 60 * 60_000

/** A read that comes again within this does not prolong again: one row less to write. */
export const SAME_READ_MS = 60_000

/** Roots for which copies are looked after. */
export const MAX_COPIED_ROOTS = 10_000

/** Copies of one root. */
export const MAX_COPIES = 16

/** Roots looked after at the same time; each asks and probes one peer after another. */
export const ROOTS_AT_ONCE = 4

/** Pins are looked through again no more often than this, whenever a root has its turn. */
export const RESCAN_MS = 10 * 60_000

/** Peers asked for one root in one round. */
export const ASKS_PER_ROUND = 24

/** A peer that refused, failed or does not speak the protocol is not asked again so soon. */
export const REFUSED_FOR_MS = 10 * 60_000
export const MAX_REMEMBERED_REFUSALS = 4_096

/** A root that is short of copies is looked after again after this, and when somebody connects. */
export const SHORT_RETRY_MS = 60_000

/** A holder that has promised may fetch for so long before it must have it. */
export const FETCHING_MS = 6 * 60 * 60_000

/** One probe: a question and a block. */
export const PROBE_TIMEOUT_MS = 20_000

/** Requests of one peer in a second, and at once: an asker with a hundred roots asks for them within a minute. */
export const REQUEST_RATE = { perSecond: 2, burst: 64 }
export const MAX_RATED_PEERS = 4_096

/** Promises of this node: a row each. */
export const MAX_PROMISES = 10_000
