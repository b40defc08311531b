/** Bounds of the format; each is part of SPEC.md. */

const DAY_MS = 24 * 60 * 60 * 1000

/** SHA-256 of a record's payload: its id. */
export const ID_BYTES = 32

/** Payload of a record: the longest entry, with its numbers and keys, has less. */
export const MAX_PAYLOAD_BYTES = 4 * 1024

/** A signed record as it travels: payload, signature, and what protobuf puts before each. */
export const MAX_RECORD_BYTES = MAX_PAYLOAD_BYTES + 128

/** A title is one line of a list. */
export const MAX_TITLE_BYTES = 256

/** A description is a paragraph or two; what is longer belongs into the content. */
export const MAX_DESCRIPTION_BYTES = 2_048

export const MAX_TAGS = 16
export const MAX_TAG_BYTES = 64

/** MIME types are two short names (RFC 6838 allows 127 characters each); parameters are not told. */
export const MAX_MIME_BYTES = 127

/** A CID or a name with a path, or a link (104 characters). */
export const MAX_ADDRESS_BYTES = 512

/** Entries that one record withdraws. */
export const MAX_WITHDRAWN = 64

/** The longest that a record may hold: as long as a lease of the vault. */
export const MAX_LIFETIME_MS = 400 * DAY_MS

/** How far a publisher's clock may be ahead of whoever reads. */
export const MAX_AHEAD_MS = 5 * 60_000

/** A signed head: a key, a hash, two numbers and a signature. */
export const MAX_HEAD_BYTES = 256

/** Records in one message of gossip: a node that has none of them verifies them within a few milliseconds. */
export const MAX_BATCH_RECORDS = 32

/** A message of gossip as a whole; with what gossip puts around it, it stays below 64 KiB. */
export const MAX_BATCH_BYTES = 60 * 1024
