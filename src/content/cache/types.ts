import type { CID } from 'multiformats/cid'

/**
 * What goes first where room is needed, of what was fetched and nobody pinned.
 *
 * - `lru`: what was read longest ago
 * - `trust`: what came from peers of low scores, among alike ones what was read longest ago
 * - `predictive`: what is asked for least, by heat and by what usually follows what was read lately; that also is fetched ahead
 */
export type CacheStrategy = 'lru' | 'trust' | 'predictive'

export interface CacheStatistics {
  /** Roots that were fetched and may be evicted. */
  roots: number
  /** Since start: readings that found everything here, and those that fetched something. */
  hits: number
  misses: number
  evictedRoots: number
  evictedBytes: number
  prefetchedRoots: number
}

/** Of what was read: what came over the network for it, and from whom. */
export interface Reading {
  cid: CID
  /** Bytes of content, where that is known. */
  sizeBytes: number | null
  fetchedBytes: number
  /** The peer that brought most of it; undefined where nothing came, or nobody can be named. */
  source: string | undefined
}
