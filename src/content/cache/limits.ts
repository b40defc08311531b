/** Roots that are remembered; over it the coldest are forgotten, and go at the next collection. A few hundred bytes each. */
export const MAX_ROOTS = 10_000

/** A reading counts half after this: a day's habits are remembered, last month's are not. */
export const HALF_LIFE_MS = 86_400_000

/** Readings in the last half-life above which a root is worth memory: once is no habit. */
export const HOT_HEAT = 1.5

/** The same again within this, and nothing else in between, is one reading. */
export const SAME_READING_MS = 60_000

/** Scores from this on are alike: a newcomer's. */
export const TRUSTED_SCORE = 0.5

/** What follows what: contents remembered, and followers of each. */
export const MAX_LEADERS = 4_096
export const MAX_FOLLOWERS = 4

/** A reading that comes later than this after another does not follow it. */
export const FOLLOWS_WITHIN_MS = 5 * 60_000

/** Readings of one content above which its counts are halved, so that habits change. */
export const MAX_COUNT = 32

/** A follower is fetched ahead where it followed at least so often, and in this share of readings. */
export const MIN_FOLLOWS = 2
export const MIN_SHARE = 0.4

/** Fetched ahead at once, and followers of one reading. */
export const MAX_PREFETCHES = 2

/** Something fetched ahead that is not there by then is left. */
export const PREFETCH_TIMEOUT_MS = 60_000

/** Eviction begins above the limit and ends below this share of it, so that it does not begin again at once. */
export const LOW_SHARE = 0.9

/** First blocks whose readings have not ended. */
export const MAX_ARRIVED = 256

/** Bytes stored after which it is looked whether the limit is reached. */
export const CHECK_EVERY_BYTES = 16 * 1024 * 1024

/** What is known of roots is written so long after it changed. */
export const SAVE_AFTER_MS = 10_000

/** Rows written in one step. */
export const SAVE_ROWS = 250

/** Roots under a lease after which a round of eviction ends: what covers so many covers the others too. */
export const MAX_LEASED_ROOTS = 32

/** Blocks removed in one call to the writer: a few milliseconds. */
export const EVICT_BLOCKS = 256

/** Inner nodes of one root that an eviction remembers; what is below more of them is left to the collector. */
export const MAX_INNER_NODES = 65_536
