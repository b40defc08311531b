/** Every bound of the routing API, with its unit and its reason. */

/** The specification's figure for an answer of one JSON. */
export const MAX_JSON_RESULTS = 100
/** A stream tells more, and not without end. */
export const MAX_STREAMED_RESULTS = 1_000

/** A JSON answer waits for all of it: longer than most walks take, shorter than clients wait. */
export const JSON_TIMEOUT_MS = 10_000
/** A stream tells what it has as it comes. */
export const STREAM_TIMEOUT_MS = 30_000
/** Addresses of one peer; more is somebody's nonsense. */
export const MAX_ADDRESSES = 32

/** Look-ups at once, for all clients: each walks the DHT. */
export const MAX_LOOKUPS = 64
/** Requests of one address in a minute: a page of a hundred CIDs several times. */
export const MAX_REQUESTS_PER_MINUTE = 600
/** Records that one address may have this node publish in a minute: each is a walk and 20 sends. */
export const MAX_PUTS_PER_MINUTE = 30
/** Addresses that are counted at once; over that the oldest begin anew. */
export const MAX_COUNTED_ADDRESSES = 10_000

/** A CID with an identity hash holds its content. */
export const MAX_PARAM_CHARACTERS = 512
/** Names in a filter, and characters of one: those of the multicodec and multiaddr tables are shorter (IPIP-484). */
export const MAX_FILTERS = 64
export const MAX_FILTER_CHARACTERS = 63

/** How long answers may be kept, in seconds (the specification's examples). */
export const CACHE_RESULTS_SECONDS = 300
export const CACHE_EMPTY_SECONDS = 15
/** A record without a ttl. */
export const CACHE_RECORD_SECONDS = 60
/** What the DHT keeps a provider record for: a stale answer is right for so long. */
export const STALE_SECONDS = 172_800

/** Proposed to clients that come at a bad time. */
export const RETRY_AFTER_SECONDS = 5
