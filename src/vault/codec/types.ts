import type { SlabId } from '../../../protocols/chunk/types.ts'
import type { Redundancy } from '../types.ts'

/** 1 MiB of the put's stream: the unit of everything. */
export const SEGMENT_BYTES = 1024 * 1024
export const SEGMENTS_PER_SLAB = 64
export const SLABS_PER_GROUP = 64

/** The key and nonce of one segment, 44 bytes as HKDF gives them; docs/vault-format.md says from what. */
export interface SegmentKey {
  key: Uint8Array
  nonce: Uint8Array
}

/** One sealed segment, coded. */
export interface EncodedSegment {
  mode: number
  sealedBytes: number
  /** n pieces; with k = 1 all the same array. */
  pieces: Uint8Array[]
  /** n Merkle roots, 32 bytes each. */
  roots: Uint8Array[]
  /** Times of the stages in milliseconds, for the benchmark. */
  stageMs: { compress: number; seal: number; encode: number; hash: number }
}

/**
 * The arithmetic of segments, in the worker pool: nothing of it runs on the event loop. Arrays that are handed in may be
 * moved to a worker and be empty afterwards; copy what is needed again.
 *
 * Every method throws ERR_CANCELLED, and ERR_VAULT_INVALID where bytes are not what they should be, naming what is wrong.
 */
export interface SegmentCodec {
  /** Compresses, pads, seals, codes and hashes one segment (at most 1 MiB). */
  encode(
    segment: Uint8Array,
    options: { slab: SlabId; number: number; key: SegmentKey; redundancy: Redundancy; signal: AbortSignal },
  ): Promise<EncodedSegment>
  /** From any k pieces (verified by the caller) to the segment's bytes. */
  decode(
    pieces: ReadonlyMap<number, Uint8Array>,
    options: {
      slab: SlabId
      number: number
      mode: number
      key: SegmentKey
      sealedBytes: number
      redundancy: Redundancy
      signal: AbortSignal
    },
  ): Promise<Uint8Array>
  /** From any k pieces to pieces of other columns, without any key; with their Merkle roots. */
  rebuild(
    pieces: ReadonlyMap<number, Uint8Array>,
    options: { columns: readonly number[]; sealedBytes: number; redundancy: Redundancy; signal: AbortSignal },
  ): Promise<Map<number, { bytes: Uint8Array; root: Uint8Array }>>
  close(): Promise<void>
}

/** What a manifest's map says; readable with the verify key. */
export interface ManifestMap {
  redundancy: Redundancy
  /** Data slabs only, in the order of the stream. The first group's id is the manifest's slab id. */
  groups: { id: SlabId; slabs: SlabId[] }[]
}

export interface ManifestEntry {
  path: string
  type: 'file' | 'directory' | 'symlink'
  mode: number | null
  size: number
  /** Where its content begins in the stream. */
  offset: number
  sha256: Uint8Array | null
  mime: string
  target: string
}

/** What a manifest's body says; readable with the read key. */
export interface ManifestBody {
  name: string
  kind: 'file' | 'tree'
  size: number
  sha256: Uint8Array | null
  createdMs: number
  fileKey: Uint8Array
  /** In the order of the map. */
  slabs: { salt: Uint8Array; modes: Uint8Array }[]
  mime: string
  entries: ManifestEntry[]
}

/** The pieces of a slab that is kept as copies of itself: manifests and versions of the owner's state. */
export interface SealedLayers {
  /** `mode ‖ salt ‖ sealed segment`: the pieces, the same for every column. */
  pieces: Uint8Array[]
  /** Merkle roots of the pieces. */
  roots: Uint8Array[]
}
