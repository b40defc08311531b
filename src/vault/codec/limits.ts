import { SEGMENT_BYTES, SEGMENTS_PER_SLAB } from './types.ts'

/** Of map, body and .manifest file. */
export const FORMAT_VERSION = 1

/** zstd's frame is kept where it takes at most so much of the segment: less is not worth the time to decompress. */
export const KEPT_PERCENT = 97
export const ZSTD_LEVEL = 3
/** What a frame may ask a reader to allocate: 2 MiB, the window of level 3. */
export const ZSTD_WINDOW_LOG_MAX = 21

/** Payloads up to 64 KiB are padded to a power of two from 1 KiB on, larger ones to multiples of 64 KiB. */
export const SMALLEST_PADDED_BYTES = 1024
export const PADDING_STEP_BYTES = 64 * 1024
/** The payload's length, before it. */
export const LENGTH_BYTES = 4
export const TAG_BYTES = 16
/** A full segment that does not compress: the longest there is. */
export const MAX_SEALED_BYTES = LENGTH_BYTES + SEGMENT_BYTES + TAG_BYTES

export const KEY_BYTES = 32
export const NONCE_BYTES = 12
export const HASH_BYTES = 32
export const SALT_BYTES = 32

/** Of a manifest's piece, before the sealed segment: mode and salt. */
export const PIECE_HEADER_BYTES = 1 + SALT_BYTES

/** Map and body together: a manifest is one slab. */
export const MAX_MANIFEST_BYTES = SEGMENTS_PER_SLAB * SEGMENT_BYTES

/** Data slabs of one put: 4 TiB. */
export const MAX_DATA_SLABS = 65_536

/** Entries of a tree. Each takes well over a hundred bytes of memory of whoever opens it, and 64 MiB hold no more anyway. */
export const MAX_ENTRIES = 1_000_000
/** As in Linux (PATH_MAX); in UTF-8. */
export const MAX_PATH_BYTES = 4_096
/** As in most file systems; in UTF-8. */
export const MAX_NAME_BYTES = 255
/** RFC 6838 allows 127 characters a side. */
export const MAX_MIME_BYTES = 255
/** Permission bits with set-id and sticky. */
export const MAX_MODE = 0o7777

/** Entries that are encoded or decoded in one call of a worker: taking its answer holds the event loop for a few milliseconds. */
export const ENTRIES_PER_CALL = 1_000
/** How long checking entries may hold the event loop before others have their turn. */
export const TURN_MS = 5
/** Segments of a manifest that are sealed or opened at once. */
export const MANIFEST_CONCURRENCY = 4

/** Characters of a link: a read link has about 104. Decoding base58 takes time by the square of it. */
export const MAX_LINK_CHARS = 512

/** Of a .manifest file: the pieces with their headers and tags, the index with its roots, and the rest. */
export const MAX_MANIFEST_FILE_BYTES =
  SEGMENTS_PER_SLAB * (MAX_SEALED_BYTES + PIECE_HEADER_BYTES + 16) + 256 * 1024
