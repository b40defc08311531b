/** Bounds of what the router takes into account and remembers, each with its reason. */

/** Latency above this costs no more: such a source is far behind any other already. */
export const MAX_LATENCY_MS = 5_000

/**
 * The same for what is no source among the peers: the first answer has a search in it, which is done once for much content. At
 * the usual weight it costs no more than a success is worth, so that one slow search does not turn the order around for long.
 */
export const MAX_SEARCH_LATENCY_MS = 500

/** What a source is taken to have that was not measured yet: a round trip across the world. */
export const UNKNOWN_LATENCY_MS = 100

/** Less than so long a transfer says nothing about bandwidth: it measures the first packets. */
export const MIN_TRANSFER_MS = 50

/** Bytes that get all the points there are for them. */
export const MANY_BYTES = 1024 * 1024 * 1024

/** Wrong bytes are no bad luck: they count as so many failures. */
export const INVALID_FAILURES = 5

/** The part of a new measurement in the latency that is remembered. */
export const LATENCY_SHARE = 0.3

/** Counts that have decayed below this are none. */
export const NEGLIGIBLE = 0.01

/** Sources that are remembered: a row is about 150 bytes, so 2 MB of state.db at worst. */
export const MAX_ROWS = 10_000
/** Sources in memory: those that are asked about; each about 300 bytes. */
export const MAX_CACHED = 2_048
/** What was learned is written so long after: a crash forgets half a minute, and a quiet node writes nothing. */
export const WRITE_AFTER_MS = 30_000
/** Sources with something to be written; over that it is written at once. */
export const MAX_PENDING = 512
/** Rows of one transaction: a few milliseconds on the event loop. */
export const WRITE_ROWS = 128
/** Rows above the bound that one write removes. */
export const PRUNE_ROWS = 500

/** Characters of a source's name: a gateway's URL is the longest. */
export const MAX_SOURCE_CHARACTERS = 1_100

/** Where the size is not known: as many as are asked while the first answers. */
export const USUAL_SOURCES = 3
/** One source brings this in a round trip or two (FIRST_WANT_BYTES of the content protocol). */
export const ONE_SOURCE_BYTES = 2 * 1024 * 1024
/** What a source should get of larger content: half a second's work at 16 MiB/s, against a round trip or two for its stream. */
export const BYTES_PER_SOURCE = 8 * 1024 * 1024
/** As many as the content protocol uses at once. */
export const MOST_SOURCES = 8
