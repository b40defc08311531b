/** Bounds that are part of the vault's format (docs/vault-format.md). */

/** SHA-256: slab ids, groups, roots of pieces. */
export const HASH_BYTES = 32

export { PUBLIC_KEY_BYTES, SEED_BYTES, SIGNATURE_BYTES } from '../../shared/ed25519.ts'

/** Segments of one slab. */
export const MAX_SEGMENTS = 64

/** Columns of one slab: n. */
export const MAX_COLUMNS = 64

/**
 * A sealed segment: 1 MiB of payload, a step of padding and 64 bytes for length, tag, and what a manifest's pieces carry
 * before it.
 */
export const MAX_SEALED_BYTES = 1024 * 1024 + 64 * 1024 + 64

/** Leaves of a piece's Merkle tree; an audit moves one of them and its path. */
export const LEAF_BYTES = 16 * 1024

/** Leaves of the longest piece, one with k = 1. */
export const MAX_LEAVES = Math.ceil(MAX_SEALED_BYTES / LEAF_BYTES)

/** Sibling hashes from a leaf of the longest piece up to the root. */
export const MAX_PATH_HASHES = Math.ceil(Math.log2(MAX_LEAVES))

/** Payload of an index: 64 · 64 roots of 32 bytes are 128 KiB; sizes, key and group take less than 1 KiB. */
export const MAX_INDEX_PAYLOAD_BYTES = MAX_SEGMENTS * MAX_COLUMNS * HASH_BYTES + 1024

/** Payload of a lease, a deletion or a receipt: two hashes and a few numbers. */
export const MAX_STATEMENT_PAYLOAD_BYTES = 256

/** A lease runs at most 400 days from its holder's now. */
export const MAX_LEASE_MS = 400 * 24 * 60 * 60 * 1000

/** Part of what is signed. */
export const MAX_NETWORK_NAME_BYTES = 256

/** Deletions of one message of gossip: their signatures are checked within 2 ms. */
export const MAX_DELETIONS = 16
