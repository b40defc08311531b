/** Bounds of the history of peers, each with its reason. */

/** Peers that are remembered: a row is about 500 bytes, so 5 MB of state.db at worst. */
export const MAX_ROWS = 10_000

/** The last seen of all are kept, however long ago that was: a node that slept for a year, or whose clock jumped, finds its way. */
export const KEPT_ROWS = 64

/** Dialable addresses of one peer: a machine with TCP, WebSocket, QUIC and WebRTC on two families has eight. */
export const MAX_ADDRESSES = 8
/** Characters of one: relayed ones with certificate hashes stay below. */
export const MAX_ADDRESS_CHARACTERS = 512
export const MAX_AGENT_CHARACTERS = 128

/** What was seen is written so long after: a crash forgets half a minute, and a quiet node writes nothing. */
export const WRITE_AFTER_MS = 30_000
/** Peers with something to be written; over that it is written at once. About 1 KiB each. */
export const MAX_PENDING = 512
/** Rows of one transaction: a few milliseconds on the event loop. */
export const WRITE_ROWS = 128

/** How often what is too old is looked for, at a write. */
export const PRUNE_EVERY_MS = 6 * 3_600_000
/** Rows removed in one step: a few milliseconds. */
export const PRUNE_ROWS = 500

/** Dials in a row that failed, after which a peer that was not seen for a week is forgotten. */
export const GIVEN_UP_FAILURES = 20
export const GIVEN_UP_AFTER_MS = 7 * 24 * 3_600_000
