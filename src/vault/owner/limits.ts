/** Objects that `ls` shows: each is unsealed once (about 10 µs) and kept in memory (about 1 KiB). */
export const MAX_LISTED_OBJECTS = 5_000
/** Rows of one query over slabs or columns: under 10 ms of the event loop. */
export const ROWS_A_QUERY = 500

/** Entries of a tree: the manifest is one slab of 64 MiB, and is built in memory. */
export const MAX_TREE_ENTRIES = 200_000
/** As a reader takes them (src/vault/codec/limits.ts): PATH_MAX of Linux, and names of most file systems. In UTF-8. */
export const MAX_PATH_BYTES = 4_096
export const MAX_NAME_BYTES = 255
/** Entries gathered before they are sealed and written. */
export const JOURNAL_FLUSH_BYTES = 256 * 1024
/** A frame of the journal when read again: one flush and its longest entry. */
export const MAX_JOURNAL_FRAME_BYTES = JOURNAL_FLUSH_BYTES + 64 * 1024

/** Puts under way at once: each holds up to 32 MiB of segments and pieces, and spools two slabs on disk. */
export const CONCURRENT_PUTS = 2
/** Segments that are being compressed, sealed and coded at once: one a worker and one that waits. */
export const ENCODINGS_AHEAD = 3
/** Coded segments that are kept in memory for holders that are a little behind; older ones are read from the spool. */
export const WINDOW_SEGMENTS = 4
/** Slabs of which pieces are still being sent or receipts awaited: the one being read and the one before. */
export const SLABS_UNDER_WAY = 2

/** A holder answers whether it takes a column: a round trip, and a row in its database. */
export const STORE_OPEN_TIMEOUT_MS = 15_000
/** A holder that takes no piece for so long is replaced. A piece is at most 1 MiB; 35 KiB a second is too slow to wait for. */
export const PIECE_TIMEOUT_MS = 30_000
/** From the last piece to the receipt: checks and a disk flush of up to 64 MiB, on a disk that is busy with others'. */
export const RECEIPT_TIMEOUT_MS = 60_000
/** A holder that is this far behind the others no longer holds them up: it gets what it missed from the spool. */
export const LAG_MS = 3_000
/** A lane that stood still for so long, since the source gave nothing, may have lost its stream to the holder's idle timeout. */
export const LANE_IDLE_MS = 5_000
/** Tries of one column with all holders together, before the put gives up. */
export const MAX_TRIES_A_COLUMN = 32
/** How long a put waits for a peer that could take a column which nobody takes. */
export const HOLDER_WAIT_MS = 60_000
/** Who was slow is asked again after this, where nobody else is there: a stalled disk or a lost connection is back by then, or not. */
export const SECOND_CHANCE_MS = 5_000
/** So often a holder may be slow in one group. */
export const MAX_CHANCES = 4
/** Between two looks for candidates while none is there. */
export const CANDIDATES_RETRY_MS = 1_000

/** Small requests to holders: renewals, deletions, hints. */
export const REQUEST_TIMEOUT_MS = 15_000
/** Holders that are asked at once. */
export const CONCURRENT_REQUESTS = 8
/** Leases or deletions in one request. */
export const STATEMENTS_A_REQUEST = 100

/** The renewer looks at least so often, also where the clock was set or the machine slept. */
export const MAX_RENEWAL_SLEEP_MS = 10 * 60_000
/** And at most so often; short leases are for tests. */
export const MIN_RENEWAL_SLEEP_MS = 50
/** Renewed at one third of the lease. */
export const RENEW_PART = 1 / 3
/** Where some holders did not answer, it tries again after this part of the lease. */
export const RENEWAL_RETRY_PART = 1 / 30
/** And after so long at the most where fewer took it than reading takes: a machine may be on for some hours a week. */
export const MAX_RENEWAL_RETRY_MS = 6 * 60 * 60_000
/** While nobody is connected nothing is due: the try would be used up. */
export const RENEWAL_ALONE_MS = 5_000
/** Slabs that are renewed in one go. */
export const RENEWAL_PAGE_SLABS = 100

/** How long the owner looks for holders that it does not know of: the DHT answers within this. */
export const LOCATE_TIMEOUT_MS = 15_000
/** Holders of one slab that are remembered: n is at most 64, and some are tried in vain or replaced. */
export const MAX_HOLDERS_A_SLAB = 192
/** Slabs that are deleted in one step of `rm`, which is then committed. */
export const SLABS_A_DELETION = 64
/** Holders that the result of `rm` names. */
export const MAX_PENDING_PEERS = 64
/** Between two rounds over what is still to be deleted; a round is also made when a peer connects. */
export const DELETION_ROUND_MS = 10 * 60_000
/** Peers that come within this are told in one round. */
export const DELETION_SETTLE_MS = 500
/** Changes are gathered for so long before the state is kept as a new version. */
export const STATE_COALESCE_MS = 3_000
/**
 * A large state is gathered for longer, so that whoever puts many files does not send it whole after each: its copies take no
 * more than this rate on average, up to the longest wait.
 */
export const STATE_BYTES_PER_SECOND = 1024 * 1024
export const STATE_MAX_COALESCE_MS = 60_000

/** Degraded puts that are completed at once; most of them wait for peers. */
export const CONCURRENT_COMPLETIONS = 16
/** It looks again after so long even where no peer has connected: one may have room again. */
export const COMPLETE_RETRY_MS = 60_000
/** A peer that has just connected is asked what it offers after this. */
export const COMPLETE_SETTLE_MS = 200

/** The owner's state as text; a slab takes some 600 bytes, 10 TiB of files 160 000 slabs. */
export const MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
/** Slabs that are taken over in one transaction: some 8 columns each, 10 ms in all. */
export const SLABS_A_MERGE = 64
/** Copies of a version of the state. */
export const STATE_COPIES = 5
/** Versions of the state that are kept beside the marks. */
export const STATE_VERSIONS_KEPT = 2
/** Every version that is a multiple of this stays, as a mark; as many slab ids as one question takes. */
export const STATE_MARK_EVERY = 1_024
/** Blocks of versions behind the newest one known that recovery still looks into: a mark may have been lost. */
export const STATE_BLOCKS_AHEAD = 1
/** The same when the recovery phrase looks: attempts that failed use numbers up, and leave no marks. */
export const STATE_RECOVERY_AHEAD = 4
/** Documents that a recovery merges: the newest, and what other machines had made beside and shortly before it. */
export const MAX_RECOVERED = 8
/** How long recovery goes on for the others, once it has one. */
export const STATE_RECOVERY_MORE_MS = 60_000
/** Versions after its own that a machine looks for before it makes the next one, where it has looked far within the last minute. */
export const STATE_LOOK_AHEAD = 32
/** Versions before its own that it still looks for: what another machine made there could not be had then. */
export const STATE_LOOK_BACK = 16
/** A machine that was away may be a thousand versions behind: it looks so far, but not with each version of a burst. */
export const STATE_FAR_LOOK_MS = 60_000
/** How often a machine that changes nothing looks at what others of its owner have done: it renews for them, too. */
export const STATE_LOOK_EVERY_MS = 10 * 60_000
/** How long what other machines made may be fetched in one go. */
export const STATE_TAKEOVER_MS = 120_000
/** How long one question for versions may take. */
export const STATE_LOOK_TIMEOUT_MS = 5_000
/** After a failed attempt to keep the state, before the next; twice as long after each, since an attempt may use up a number. */
export const STATE_RETRY_MS = 60_000
export const STATE_MAX_RETRY_MS = 60 * 60_000
/** After a failed attempt a peer that connects is no reason for another one within this. */
export const STATE_CALM_MS = 10_000
/** How long a version that no holder has taken waits for one; another attempt follows. */
export const STATE_HOLDER_WAIT_MS = 3_000
/**
 * Where another machine of the owner has taken the same number, before the next attempt: drawn between nothing and this, so that the two
 * do not meet again.
 */
export const STATE_RIVAL_MS = 5_000
/** Versions of other machines that are taken over at once: more than machines write at the same time. */
export const MAX_RIVALS = 8

/** How old the figures of `status` and `doctor` may be. */
export const REPORT_FRESH_MS = 5_000
/** A lease that is not renewed with this part of it left is a problem: renewal began at two thirds left. */
export const LATE_LEASE_PART = 1 / 4
/** The state that was not kept in the network for so long is a problem. */
export const STATE_LATE_MS = 60 * 60_000
