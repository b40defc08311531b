const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** An owner's clock may run ahead of this node's: a lease of 400 days is still taken, a deletion is still of now. */
export const CLOCK_TOLERANCE_MS = HOUR_MS
/** Beyond the longest lease: whoever was away for that long has no column left that the owner's deletion must reach. */
export const TOMBSTONE_EXTRA_MS = 30 * DAY_MS
/** How many of the known peers keep the deletion of a slab that they do not hold. */
export const TOMBSTONE_SUCCESSORS = 8

/** Claims that are remembered: about 200 bytes each. A repairer claims the missing columns of a few slabs at a time. */
export const MAX_CLAIMS = 4_096
export const MAX_CLAIMS_PER_PEER = 512
export const MAX_CLAIM_MS = 10 * MINUTE_MS

/** Deletions of slabs that are not held here, which anybody can make: what one peer may bring. */
export const FOREIGN_DELETION_RATE = { perSecond: 50, burst: 2_000 }
/** Peers whose rates are remembered. */
export const MAX_RATED_PEERS = 2_000

/** Peers that are remembered for one group: twice the most holders that a slab can have. */
export const MAX_CO_HOLDERS = 128
/** New hints that one peer may give, each a row in state.db. */
export const HINT_RATE = { perSecond: 20, burst: 500 }
/** A co-holder that has not answered for so long is no longer asked. */
export const CO_HOLDER_FORGOTTEN_MS = 30 * DAY_MS

/** One walk step: groups and columns that are looked at together, so that peers are asked once for many slabs. */
export const WALK_MAX_GROUPS = 32
export const WALK_MAX_COLUMNS = 128
/** Longest and shortest pause between two steps. */
export const WALK_MAX_PAUSE_MS = MINUTE_MS
export const WALK_MIN_PAUSE_MS = 20
/** Audits and questions that are under way at once. */
export const WALK_CONCURRENCY = 6
/** What audits may take of the network: at 100 000 columns and 12 h between audits they take about 80 KiB/s. */
export const AUDIT_BYTES_PER_SECOND = 256 * 1024
/** Share of the interval, and the longest time, in which a peer that could not be reached is not dialled for a look. */
export const SILENCE_SHARE = 0.1
export const MAX_SILENCE_MS = 10 * MINUTE_MS
export const MAX_SILENT_PEERS = 4_096
/** Looks in a row at which a column was not proven, until all columns of its slab are measured: two intervals. */
export const MISSES_UNTIL_SUSPECT = 2
/** After that, measured again after so many more looks at the most. */
export const MAX_MISSES_BETWEEN_MEASURES = 8

/** Slabs that wait for their repair; what is over is found again at the next look. */
export const MAX_PENDING_REPAIRS = 4_096
/** Slabs that are repaired at once: each holds k pieces and streams to new holders. */
export const REPAIR_CONCURRENCY = 2
/** Slabs that are measured at once because an audit failed. */
export const SUSPECT_CONCURRENCY = 2
/** Holders of one column that are told of each other at one look. */
export const MAX_INTRODUCED = 4
/** Proofs, each of another segment, before this node gives up a column that another one has as well. */
export const TRIM_PROOFS = 4
/** Longest time that one twin is challenged, and that this node serves nothing of that slab because of it. */
export const MAX_CHALLENGE_MS = 10 * SECOND_MS
/** Twins of one column that are challenged at one look. */
export const MAX_CHALLENGED_TWINS = 4
/** Twins of which it is remembered since when they are proven: some 200 bytes each. */
export const MAX_PROVEN_TWINS = 4_096

/** Peers whose time is counted; above the most connections that a node has by default. */
export const MAX_FAMILIAR_PEERS = 2_048
/**
 * The most peers that count as usual: whoever sees half as many is not cut off, however many there were, so that nobody can
 * raise what is usual out of reach.
 */
export const MAX_USUAL_PEERS = 32

/** How often this node notes that it is alive. */
export const ALIVE_INTERVAL_MS = 30 * SECOND_MS
/** A node that was away for longer fetches tombstones before it serves or repairs. */
export const AWAY_MS = 10 * MINUTE_MS
/** A gap in the ticks that is no busy loop any more: the machine slept, or its clock was set. */
export const GAP_MS = 20 * SECOND_MS
export const TICK_MS = SECOND_MS

/** One round of anti-entropy with every connected peer. */
export const TOMBSTONE_ROUND_MS = 10 * MINUTE_MS
/** Where audits are more frequent than that, rounds are too, down to this. */
export const MIN_TOMBSTONE_ROUND_MS = 10 * SECOND_MS
/** Peers that are asked for tombstones at once. */
export const TOMBSTONE_CONCURRENCY = 3
/** Pages of 256 in one turn; whoever has more is asked again in the next round, or at once while nothing is served. */
export const TOMBSTONE_PAGES_PER_TURN = 64
/** Turns of one peer before this node serves all the same: a million deletions. */
export const TOMBSTONE_TURNS = 64
/** A turn takes no longer, however slow the peer is, since others wait for it. What it gave until then counts. */
export const TOMBSTONE_TURN_MS = MINUTE_MS
/** So many peers are enough to serve again after an absence, and to repair. */
export const TOMBSTONE_ENOUGH_PEERS = 3
/** Pause before a peer that failed is asked again, while nothing is served. */
export const STALE_RETRY_MS = 2 * SECOND_MS
/** Peers whose counters are remembered. */
export const MAX_TOMBSTONE_COUNTERS = 4_096

/** An expired column is removed a day after its lease at the latest: a clock that jumped is put right by then. */
export const EXPIRY_DELAY_MS = 24 * HOUR_MS
/** Share of the time from storing to expiry that an expired column is kept on, where that is less than a day. */
export const EXPIRY_DELAY_SHARE = 0.25
export const EXPIRY_INTERVAL_MS = MINUTE_MS
export const EXPIRY_BATCH = 256

/** Columns that a leaving node hands over at once. */
export const HANDOVER_CONCURRENCY = 3
/** How long a leaving node waits before it asks again for holders of what nobody took. */
export const LEAVE_RETRY_MS = 15 * SECOND_MS
