/** A leaf and its path are 16 KiB and some hashes; a peer that takes longer for them is as good as away. */
export const AUDIT_TIMEOUT_MS = 10_000
/** Questions of one message each: index, lease, claim, hint. */
export const ASK_TIMEOUT_MS = 10_000
/** How long one measurement looks for holders: hints and connected peers answer in seconds, the DHT within this. */
export const LOCATE_TIMEOUT_MS = 15_000
/** When nobody new answers for so long, a look for holders has found who there is; less where audits are frequent. */
export const LOCATE_QUIET_MS = 4_000
export const MIN_LOCATE_QUIET_MS = 1_000
/** Audits and questions of one measurement that are under way at once. */
export const MEASURE_CONCURRENCY = 8
/** Peers that are believed to say something about one slab; more than n (64) say it only in an attack. */
export const MAX_CLAIMERS_PER_SLAB = 256

/** New holders that are tried for one column before the restore goes without it. */
export const MAX_TRIES_PER_COLUMN = 8
/** Opening a store: the holder reserves room and says so. */
export const STORE_OPEN_TIMEOUT_MS = 15_000
/** A receipt comes after an fsync of up to 64 MiB. */
export const RECEIPT_TIMEOUT_MS = 60_000

/** Claims end by themselves: a repairer that dies keeps others waiting no longer than this. */
export const MIN_CLAIM_TTL_MS = 10_000
export const MAX_CLAIM_TTL_MS = 10 * 60_000

/** Peers of one hint: what its message may name. */
export const MAX_HINTED_PEERS = 64
