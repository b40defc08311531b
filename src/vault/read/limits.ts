/** Bounds of reading. */

const MIB = 1024 * 1024

/**
 * Segments (1 MiB) of one reader that are on their way, being decoded or waiting for it. 16 keep four holders and two
 * workers busy over a network of 50 ms; what is beyond only takes memory.
 */
export const MAX_WINDOW_SEGMENTS = 16
/** Where a reader begins: it may want no more than this range's first bytes. */
export const FIRST_WINDOW_SEGMENTS = 2
/** What all readers together have in flight; each gets its share, and no less than the first window. */
export const MAX_SEGMENTS_IN_FLIGHT = 96
/** Readers at once; a reader costs streams at several holders. */
export const MAX_READERS = 64

/** Segments that one holder of copies is asked for at a time: enough to fill its stream, few enough to share the work. */
export const COPY_BATCH_SEGMENTS = 4
/** Holders of copies that are read from side by side. */
export const MAX_COPY_LANES = 6
/** Holders known for one slab; a slab has at most 64 columns, some of them twice after a repair. */
export const MAX_HOLDERS_PER_SLAB = 128

/** A holder counts as late after twice the time that its pieces usually take, and not before this. */
export const LATE_FACTOR = 2
export const MIN_LATE_MS = 250
/** Where everybody is silent it is more likely this node's connection: then nobody is called late before this time. */
export const ALL_LATE_MS = 3_000
/** A holder that has sent nothing for so long is given up. */
export const STALLED_MS = 15_000
/** How often lateness is looked at. */
export const LATE_CHECK_MS = 100
/** Holders that may be on the same piece at once: the first and two that were called in. */
export const MAX_RACERS = 3
/** How often one holder is tried for one slab; connections break, and come back. */
export const MAX_ATTEMPTS = 2
export const RETRY_AFTER_MS = 500
/** A stream that waits so long for a slow consumer is closed, before its idle timer makes an error of it. */
export const PAUSE_CLOSE_MS = 2_000

/** After its last piece a holder says that it is done; what takes longer costs the stream. */
export const LAST_WORD_MS = 2_000
/** Streams to one peer, of all reads: below what the protocol allows, so that a turn is waited for here. */
export const MAX_LANES_PER_PEER = 6
/** Streams to all peers. */
export const MAX_LANES = 512

/** After k columns are known it is waited so long for better ones: data columns need no decoding. */
export const GATHER_MS = 15
/** After the first column is known it is waited at most so long for k of them, before reading begins with what is there. */
export const GATHER_FIRST_MS = 250
/** After a search found too few, one more begins after this time: holders come back, dials take a while. */
export const LATE_HOLDERS_MS = 1_500
/** After this time a search ends where one column more is known than is needed: what is left to ask is far away. */
export const HOLDERS_ENOUGH_MS = 1_000
/** How often one slab has holders searched for again: a holder that says to have it and fails must not keep us here. */
export const MAX_SEARCHES_AGAIN = 2
/** An index (below 70 KiB) that takes longer is asked for elsewhere as well. */
export const INDEX_HEAD_START_MS = 400
export const INDEX_TIMEOUT_MS = 15_000

/** Peers whose speed is remembered. */
export const MAX_KNOWN_SPEEDS = 1_024
/** Newer measurements count this much. */
export const SPEED_WEIGHT = 0.25
/** What is assumed of a peer that was not measured. */
export const ASSUMED_LATENCY_MS = 50
export const ASSUMED_BYTES_PER_MS = 8 * 1024
/** Pieces of parity have to be decoded: a holder of one has to be faster by this factor to be preferred. */
export const PARITY_FACTOR = 1.5
/**
 * Each stream that is open to a peer makes it cost this much more. A read alone has two, of this slab and the next: that
 * must not send it to parity.
 */
export const LANE_COST = 0.2
/** For so long a peer that sent wrong bytes is not asked again. */
export const AVOID_LIAR_MS = 10 * 60 * 1_000

/** Opened manifests that are kept, and their bytes: a tree of 100 000 files has about 10 MiB. */
export const MAX_OPEN_MANIFESTS = 64
export const MAX_OPEN_MANIFEST_BYTES = 64 * MIB
/** .manifest files that were opened: their pieces are kept, and found again by their slab. */
export const MAX_ADOPTED_MANIFESTS = 256
export const MAX_ADOPTED_BYTES = 64 * MIB
/** The first holder of a manifest gets so long before another is asked as well. */
export const MANIFEST_HEAD_START_MS = 300
export const MAX_MANIFEST_RACERS = 3

/** Indexes that are kept for the next range of the same file: one has 16 KiB with rs:4/8, 128 KiB at most. */
export const MAX_INDEX_CACHE_BYTES = 16 * MIB

/** Links of which it is remembered when a read had them repaired. */
export const MAX_REPAIRED_LINKS = 256

/** Groups whose holders are remembered as hints for the next read. */
export const MAX_HINTED_GROUPS = 1_024
