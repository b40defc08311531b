/** Bounds of measuring. */

/** A proof counts for two intervals: one look may be missed. */
export const LIVE_INTERVALS = 2
/** Audits under way at once for one question; each moves a leaf of 16 KiB. */
export const CONCURRENT_AUDITS = 16
/** Slabs of a group that are measured side by side. */
export const CONCURRENT_SLABS = 4
/** How long holders of one group are looked for: connected peers answer in seconds, the DHT within this. */
export const LOCATE_TIMEOUT_MS = 15_000
export const INDEX_TIMEOUT_MS = 10_000
/** Peers that are believed to say something about one slab; more than n (64) say it only in an attack. */
export const MAX_CLAIMERS_PER_SLAB = 256

/** What a person who asks for health may use of the network: 64 MiB/s are some 4 000 columns a second. */
export const ASKED_BYTES_PER_SECOND = 64 * 1024 * 1024
/**
 * What the owner's own audits take in the background: 64 KiB/s are 2.6 GiB, or 170 000 columns, in 12 hours. Where that is
 * not enough for all columns within half an interval, it is as much as is: otherwise proofs would grow too old to count.
 */
export const BACKGROUND_BYTES_PER_SECOND = 64 * 1024
/** A leaf, its path, and what goes around them. */
export const AUDIT_BYTES = 17 * 1024
/** The first round does not know yet how much there is; most of it was proven before the restart. */
export const FIRST_ROUND_BYTES_PER_SECOND = 4 * 1024 * 1024

/** Proofs written in one transaction. */
export const MAX_PROOFS_PER_WRITE = 1_024
/** The first round begins so long after the start: others have to connect first. */
export const FIRST_ROUND_AFTER_MS = 30_000
/** Share of the interval after which the background renews a proof, so that it never grows older than the interval. */
export const RENEW_SHARE = 0.8
