/** Bounds of the bandwidth limiter, each with its reason. */

/**
 * What a bucket holds when it is full, in milliseconds of its rate: what may be sent at once after a pause. With what one
 * slice goes over, 250 ms of the rate in all, so that over three seconds no more than a twelfth above the cap moves; and wide
 * enough that an event loop which is busy for 100 ms now and then loses nothing of the rate.
 */
export const BURST_MS = 200

/** One slice is at most so many milliseconds of the rate: twenty turns a second. */
export const SLICE_MS = 50

/** All who share a bucket have their turn within so long, so that nobody's other side takes them for silent (5 s). */
export const CYCLE_MS = 500

/** No slice is smaller: below it headers and encryption would be most of what is sent. */
export const MIN_SLICE_BYTES = 1024

/** Buckets of single peers. One that is full says no more than none, so those go first; a bucket is about 100 bytes. */
export const MAX_PEER_BUCKETS = 1_024

/** Peers whose place in the line is remembered. Those ahead of the line only: a few hundred milliseconds of peers. */
export const MAX_REMEMBERED_TURNS = 4_096

/** Who waits looks again after so long at the latest: the schedule may have changed the rate meanwhile. */
export const MAX_SLEEP_MS = 1_000
