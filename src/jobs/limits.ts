/** Jobs that have not ended, in all states together: each keeps its record, and up to 64 KiB of parameters, in memory. */
export const MAX_UNFINISHED_JOBS = 1_000
/** JSON text of parameters and of a result: they are shown and sent as one message. Bulk goes into blocks. */
export const MAX_PARAMS_BYTES = 64 * 1024
export const MAX_RESULT_BYTES = 64 * 1024
/** JSON text of a checkpoint: one row, written in one transaction on the event loop. */
export const MAX_CHECKPOINT_BYTES = 1024 * 1024
/** JSON text of an error's details; longer ones are dropped, the code and the message stay. */
export const MAX_ERROR_DETAILS_BYTES = 16 * 1024
/** Characters of texts for people: title, reason, progress note, error message. */
export const MAX_TEXT_CHARS = 500
/** Named counters of one progress report. */
export const MAX_PROGRESS_COUNTERS = 16
/** Characters of a fingerprint: room for a few hashes in text form. */
export const MAX_FINGERPRINT_CHARS = 512

/** What an upload hands to a job at once, so that "taken" is exact to 1 MiB even where a caller passes huge arrays. */
export const MAX_PIECE_BYTES = 1024 * 1024
/** A client that sends part after part pauses between them; longer than this and the job waits for its source. */
export const SOURCE_GRACE_MS = 2_000
/**
 * Jobs without a client that stay in memory where they are, so that a client which comes back at once loses nothing.
 * Beyond it the longest waiting one is stopped and later goes on from its last commit.
 */
export const MAX_SUSPENDED_RUNS = 8

/** At most so often is the progress of one job announced, and written to disk. */
export const PROGRESS_ANNOUNCE_MS = 200
export const PROGRESS_PERSIST_MS = 1_000

/** How long `cancel` and `stop` wait for a job that was told to end. */
export const CANCEL_WAIT_MS = 10_000
export const STOP_WAIT_MS = 10_000
/** Pause before a failed write of a job's end is tried again: a full disk, mostly. */
export const FINISH_RETRY_MS = 1_000

/** Ended jobs that are kept at most, whatever their age; a list shows 1 000. */
export const MAX_ENDED_JOBS = 10_000
/** Ended jobs that one step of the retention deletes: a few milliseconds. */
export const RETENTION_STEP_JOBS = 200
/** How far the number of ended jobs may pass its bound before the next look. */
export const PRUNE_AFTER_ENDED_JOBS = 500
export const RETENTION_INTERVAL_MS = 60 * 60 * 1_000
/** Longest time between two looks for sources that never came. */
export const MAX_EXPIRY_INTERVAL_MS = 30_000
export const MAX_LIST_LIMIT = 1_000
