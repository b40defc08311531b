/** Bounds of the discovery flow. Deadlines are the operator's: `content.deadlines`. */

/** How long each step has a block to itself. Bitswap with a walk through the DHT takes a second or two where somebody has it. */
export const IPFS_HEAD_START_MS = 3_000
/** A proxy has to do what the step before could not. */
export const PROXY_HEAD_START_MS = 4_000
/** Of the last step: nobody is left to be asked. */
export const GATEWAYS_HEAD_START_MS = 10_000

/** Roots of which it is remembered who brought them, some 200 bytes each. */
export const MAX_REMEMBERED_ROOTS = 1_024

/** Sources of one step of which it is counted how they do in one fetch, some 200 bytes each. */
export const MAX_TALLIED_SOURCES = 64

/** Providers of a root that are dialled, so that Bitswap has somebody to ask for its parts. */
export const MAX_DIALLED_PROVIDERS = 5
export const PROVIDERS_TIMEOUT_MS = 15_000
/** Roots remembered as looked for, and for how long. */
export const MAX_SEARCHED_ROOTS = 256
export const SEARCHED_FOR_MS = 10 * 60_000

/** Peers asked for one block, one after the other. */
export const MAX_PROXIES_PER_BLOCK = 3
/** Peers remembered as refusing, and for how long they are not asked again. */
export const MAX_REFUSING_PEERS = 256
export const REFUSED_FOR_MS = 10 * 60_000

/** Requests to one gateway at once, as browsers do; more wait. */
export const REQUESTS_PER_GATEWAY = 6
/** A gateway that failed so often in a row rests, at first so long, at most so long. */
export const FAILURES_BEFORE_REST = 5
export const FIRST_REST_MS = 30_000
export const LONGEST_REST_MS = 10 * 60_000
/** A request that failed for no fault of the block's is made once more, after so long. */
export const RETRY_AFTER_MS = 250

/** Blocks of a CAR that came before they were asked for. A fetch asks in the same order, some dozen ahead. */
export const MAX_BUFFERED_BYTES = 16 * 1024 * 1024
/** CIDs that a CAR is known to hold: 64 bytes each with the map. Beyond it the rest is asked block by block. */
export const MAX_EXPECTED_CIDS = 262_144
/** Bytes of blocks that came again, or were dropped because nobody asked in time, before a CAR is given up. */
export const MAX_WASTED_BYTES = 64 * 1024 * 1024

/** Peers whose use of this node as a proxy is counted, some 100 bytes each; the one that asked longest ago is forgotten. */
export const MAX_COUNTED_PEERS = 1_024
export const QUOTA_WINDOW_MS = 24 * 60 * 60_000
