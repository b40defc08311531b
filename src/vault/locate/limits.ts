/** Bounds of finding holders. What goes over the wire is bounded by protocols/chunk as well. */

/** Slabs in one `have` question: what the protocol takes. */
export const MAX_SLABS_PER_HAVE = 1_024
/** `have` questions on their way at once for one search: answers are small, and most peers answer within one round trip. */
export const CONCURRENT_QUESTIONS = 16
/** Peers that one search asks in all; a group has at most 64 holders, and others are asked for nothing. */
export const MAX_PEERS_PER_SEARCH = 512
/** A peer that is alive answers from memory; one that does not within this time is of no use to a reader either. */
export const HAVE_TIMEOUT_MS = 8_000

/** Hints that one search follows: the most holders that a group has. */
export const MAX_HINTS = 64
/** Connections that one search tries to make at once. */
export const CONCURRENT_DIALS = 8
/** Over a relay a dial takes some seconds; what takes longer holds up the others. */
export const DIAL_TIMEOUT_MS = 5_000
/** No search takes longer: a stranger may name hundreds of peers that do not exist, and each dial takes its time. */
export const MAX_SEARCH_MS = 30_000

/** Hinted peers mostly hold everything: whoever is merely connected is asked after this time, or when they have answered. */
export const HINTS_HEAD_START_MS = 150
/** Most of what is read is held by a connected peer; only what takes longer is worth a walk through the DHT. */
export const CONNECTED_HEAD_START_MS = 300
/** A walk through a small DHT is over by then; in a large one most answers come early. */
export const DHT_HEAD_START_MS = 1_000
export const DHT_TIMEOUT_MS = 20_000
/** Providers that a search takes from the DHT: a group's holders, and room for those that have left. */
export const MAX_PROVIDERS = 128
/**
 * A node that knows nobody in the DHT is either alone, and should say so at once, or has just started: then its first
 * peers come within a second or two. The DHT itself would wait for them without end.
 */
export const EMPTY_DHT_GRACE_MS = 3_000
export const CONNECTED_DHT_GRACE_MS = 1_000
export const EMPTY_DHT_POLL_MS = 100

/** Peers between whoever asks and whoever answers, the latter included. */
export const MAX_HOPS = 3
/** Whom a query is sent on to at each hop: 3 + 9 + 27 peers at most see it. */
export const QUERY_FAN_OUT = 3
/** A hop's own time; an answer that takes longer at some hop is given up there and the others' are passed back. */
export const QUERY_HOP_TIMEOUT_MS = 1_500
/** Slabs in one forwarded query: a group's holders are the same for most of its slabs, so a few find them all. */
export const MAX_SLABS_PER_QUERY = 16
/** Entries of an answer: with their addresses they fit into one control message of 64 KiB. */
export const MAX_FOUND = 64
export const MAX_ADDRESSES_PER_FOUND = 8

/** Query ids that are remembered, so that a query comes to every peer once. It has died out long before 8 192 others came. */
export const MAX_REMEMBERED_QUERIES = 8_192
/** Queries that one peer may ask or pass on. A read asks one; a peer in the middle passes on those of its neighbours. */
export const QUERY_RATE = { perSecond: 5, burst: 40 } as const
export const MAX_RATED_PEERS = 1_024
/** Queries that are being passed on at once; over that a query is answered from what is known here. */
export const MAX_FORWARDED_AT_ONCE = 32

/**
 * Provider records live for 48 hours (kad-dht 16.4.5, `PROVIDERS_VALIDITY`); the library itself announces again when less
 * than 24 are left. A round every 20 hours comes before both and leaves a day for a node that is off meanwhile.
 */
export const REPROVIDE_INTERVAL_MS = 20 * 60 * 60 * 1_000
/** One announcement is a walk and 20 sends; what is not done by then will not be. */
export const PROVIDE_TIMEOUT_MS = 60_000
/** After each announcement the queue rests as long as that took, and at least so long: it must not take the connections over. */
export const MIN_PROVIDE_REST_MS = 20
export const MAX_PROVIDE_REST_MS = 2_000
/** Groups that wait to be announced; whoever brings more starts a round over all that are held. */
export const MAX_QUEUED_GROUPS = 16_384
/** Groups that a round asks the holder for at a time. */
export const ROUND_PAGE_GROUPS = 256
