/** Records of one publisher that are kept: with the longest ones 40 MiB. Over it the earliest go, everywhere alike. */
export const MAX_RECORDS_PER_PUBLISHER = 10_000

/** Publishers that are kept: whether each is shown is decided in one go, which must not take over 50 ms. */
export const MAX_PUBLISHERS = 5_000
/** Of so many, drawn by lot, the one worth least goes where another one comes. */
export const DRAWN_PUBLISHERS = 16
/** Only of those with so few records: removing more takes too long to be done in passing. */
export const MAX_SMALL_RECORDS = 64

/** What a record takes in the database beyond its payload and signature: rows, indexes, its words, on average. */
export const RECORD_OVERHEAD_BYTES = 512

/** Rows removed or added in one transaction: some 0.1 ms each. */
export const MAX_ROWS_PER_STEP = 128

/**
 * Records that are checked, and then kept, between two turns of the event loop: some 0.2 ms each for the signature, 0.6 ms for rows
 * and words. With 32 at a time and both in one turn the loop's delay at 20 000 entries was 117 ms (p99); with 8 in two turns 23 ms,
 * with as many entries a second.
 */
export const MAX_CHECKS_PER_STEP = 8

/** Records whose signature was found good before they were taken: what gossip has checked and not yet delivered. */
export const MAX_REMEMBERED_CHECKS = 2_048

/** Whether publishers are shown is asked again after this. */
export const VISIBILITY_AGE_MS = 5_000

/** What is published within this is told in one message: a person does not notice, and a collection costs a few. */
export const TELL_DELAY_MS = 20

/** Messages of records that one author may have forwarded: what a person publishes, and a collection at once (2 048 records). */
export const AUTHOR_RATE = { perSecond: 2, burst: 64 } as const

/** Over so many matches of a search their order follows their age: words that stand in that many entries tell nothing apart. */
export const MAX_RANKED_MATCHES = 5_000

/** Entries in one answer. */
export const DEFAULT_PAGE_ENTRIES = 20
export const MAX_PAGE_ENTRIES = 200
/** How far pages of a search go: whoever has looked at so many asks for something else. */
export const MAX_SEARCH_OFFSET = 2_000

/** Of a word's beginning (`ab*`): those of two and three characters have an index, one character would join half of all words. */
export const MIN_PREFIX_CHARACTERS = 2

/** Words of a search. */
export const MAX_SEARCH_TERMS = 16
/** Characters of a search. */
export const MAX_SEARCH_CHARACTERS = 512

/** Programs and parts of the node that are told of new entries, and of how many: a catalogue that comes as a whole is searched, not listened to. */
export const MAX_LISTENERS = 16
export const TOLD_RATE = { perSecond: 10, burst: 100 } as const

/** What has expired is removed so often; it is not shown or given meanwhile. */
export const EXPIRY_INTERVAL_MS = 10 * 60_000

/** Peers that a sync goes through, and the time that it has for all of them (clients wait for 150 s). */
export const SYNC_PEERS = 16
export const SYNC_TIMEOUT_MS = 2 * 60_000

/** The head is told to the DHT again so often; peers forget records after 36 hours. */
export const HEAD_INTERVAL_MS = 12 * 3_600_000
/** After nobody could be told. */
export const HEAD_RETRY_MS = 5 * 60_000
/** What is published in quick succession is told once. */
export const HEAD_DELAY_MS = 1_000
/** A walk for a head; a slow one is not waited for. */
export const HEAD_SEARCH_TIMEOUT_MS = 10_000
/** Once a head was found, others that may know a later one get this long. */
export const HEAD_SETTLE_MS = 1_500
/** Answers that are looked at in one walk: every peer may answer something. */
export const MAX_HEADS_PER_SEARCH = 40
export const HEAD_PUT_TIMEOUT_MS = 30_000

/**
 * Where nobody had the head of this node's own log it is looked for again after this: a search may have ended too early, and
 * whoever publishes waits for it up to ten seconds.
 */
export const ASK_AGAIN_MS = 60_000
