import { chunkerInvalid, paramsInvalid } from '../errors.ts'
import type { Profile } from '../types.ts'

export type Chunking = { kind: 'size'; sizeBytes: number } | { kind: 'fastcdc' }

/** Everything that decides which CID given content gets. */
export interface Layout {
  cidVersion: 0 | 1
  /** Leaves are bare bytes (`raw` codec), or wrapped in UnixFS (`dag-pb`). */
  rawLeaves: boolean
  chunking: Chunking
  maxLinksPerNode: number
  /** How the size of a directory is taken that is compared with `shardThresholdBytes`. */
  shardMeasure: 'block-bytes' | 'links-bytes'
  shardThresholdBytes: number
}

const KIB = 1024
const MIB = 1024 * KIB

/** Values from IPIP-0499 (UnixFS CID profiles). */
const PROFILES: Readonly<Record<Profile, Layout>> = {
  'unixfs-v1-2025': {
    cidVersion: 1,
    rawLeaves: true,
    chunking: { kind: 'size', sizeBytes: MIB },
    maxLinksPerNode: 1024,
    shardMeasure: 'block-bytes',
    shardThresholdBytes: 256 * KIB,
  },
  'unixfs-v0-2015': {
    cidVersion: 0,
    rawLeaves: false,
    chunking: { kind: 'size', sizeBytes: 256 * KIB },
    maxLinksPerNode: 174,
    shardMeasure: 'links-bytes',
    shardThresholdBytes: 256 * KIB,
  },
}

/** Below this a file of 1 TiB would have more than a milliard of blocks. */
const MIN_CHUNK_BYTES = KIB
/** Blocks may have 2 MiB; the rest is room for the UnixFS and dag-pb around a leaf that is not raw. */
const MAX_CHUNK_BYTES = 2 * MIB - 256

/**
 * Reads `size-N` (N in bytes, 1 024 to 2 096 896) or `fastcdc`.
 *
 * @throws ERR_CHUNKER_INVALID
 */
export function parseChunker(text: string): Chunking {
  if (text === 'fastcdc') return { kind: 'fastcdc' }
  const match = /^size-(\d{1,9})$/.exec(text)
  if (match === null) throw chunkerInvalid(text, 'expected size-N (N in bytes) or fastcdc')
  const sizeBytes = Number(match[1])
  if (sizeBytes < MIN_CHUNK_BYTES || sizeBytes > MAX_CHUNK_BYTES) {
    throw chunkerInvalid(text, `the size must be between ${MIN_CHUNK_BYTES} and ${MAX_CHUNK_BYTES} bytes`)
  }
  return { kind: 'size', sizeBytes }
}

/** @throws ERR_CHUNKER_INVALID, ERR_PARAMS_INVALID for an unknown profile */
export function layoutOf(options: { profile: Profile; chunker?: string | undefined }): Layout {
  if (!Object.hasOwn(PROFILES, options.profile)) {
    throw paramsInvalid(`unknown profile "${options.profile}"; known are ${Object.keys(PROFILES).join(', ')}`)
  }
  const layout = PROFILES[options.profile]
  return options.chunker === undefined ? layout : { ...layout, chunking: parseChunker(options.chunker) }
}
