import { MAX_SEALED_BYTES, MAX_SEGMENTS } from '../../../protocols/chunk/format/index.ts'

/** The longest column: 64 whole segments with k = 1. */
export const MAX_COLUMN_BYTES = MAX_SEGMENTS * MAX_SEALED_BYTES

/** Columns being written at a time: each has an open file. Owners write to some n holders in parallel, a slab after another. */
export const MAX_DRAFTS = 64

/** Reads of column files at a time, and of the bytes that are being verified; more wait. */
export const READ_LIMITS = { count: 32, bytes: 32 * 1024 * 1024, waiting: 4_096 }

/** A row with its lease and its places in the indexes: twice what state.db grew by for each of 20 000 (measured). */
export const ROW_BYTES = 1_024

/** What the log of state.db may grow by while one column is committed: some eight pages. Reserved under the quota only. */
export const COMMIT_LOG_BYTES = 32 * 1024

/**
 * One depositor may use up to half of the offer: whoever comes first cannot close the node to everybody else, and an owner
 * with few holders can still use a good part of each.
 */
export const DEPOSITOR_SHARE = 1 / 2

/** What repair and leaving holders bring takes up to a quarter of the offer, so that a storm of repairs cannot fill it. */
export const REPAIR_SHARE = 1 / 4

/** And an eighth is kept for it: a network whose holders are all full of puts could not mend itself. */
export const REPAIR_RESERVE_SHARE = 1 / 8

/**
 * Deletions of slabs that were never held here, which anybody can make as many of as they like: 64 MiB of state.db. Those of
 * columns that were held are always kept; somebody paid for their room.
 */
export const MAX_FOREIGN_TOMBSTONES = 262_144

/** Decoded indexes in memory; the largest takes 128 KiB, one of rs:4/8 16 KiB. */
export const INDEX_CACHE_BYTES = 8 * 1024 * 1024

/**
 * Rotten columns kept to be looked at: two of the longest, but no more than a small part of what is offered, as their bytes
 * count towards the quota.
 */
export const QUARANTINE_LIMIT = { files: 16, bytes: 160 * 1024 * 1024 }
export const QUARANTINE_SHARE = 1 / 16

/** Bytes hashed without looking at the time: some 0.1 ms. */
export const HASH_STEP_BYTES = 128 * 1024

/** Rows that one question of a list gives at most. */
export const MAX_ROWS = 1_024

/** Rows removed in one transaction: some 2 ms. */
export const FORGET_STEP_ROWS = 256

/** Rows that scrub and sweep ask for at a time: under a millisecond. */
export const PAGE_ROWS = 64
