/**
 * The cache: what was fetched and nobody pinned. Which of it goes where room is needed, what of it is worth memory, and
 * what is fetched ahead.
 *
 * ```ts
 * const cache = createCache({ config, state, storage, trust, fetch, log })
 * cache.start()
 * cache.onReading({ cid, sizeBytes, fetchedBytes, source })
 * await cache.stop()
 * ```
 *
 * Only what came over the network is ever evicted: what was added here stays until a collection, pinned or not. Reading
 * order: `types.ts` (the strategies), `model.ts`, `followers.ts`, `evictor.ts`, `content-cache.ts`, `limits.ts`.
 */
import type { CID } from 'multiformats/cid'
import type { StateDatabase } from '../../storage/state/types.ts'
import type { Storage } from '../../storage/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Scores } from '../../trust/contract.ts'
import { ContentCache } from './content-cache.ts'
import type { CacheStatistics, CacheStrategy, Reading } from './types.ts'

export type * from './types.ts'

export interface CacheConfig {
  strategy: CacheStrategy
  /** Share of the quota that may be in use before cached content goes, in [0, 1]. */
  limit: number
  /** Bytes that may be fetched ahead in a second. */
  prefetchBytesPerSecond: number
}

export interface CacheOptions {
  config: CacheConfig
  state: StateDatabase
  storage: Pick<Storage, 'blocks' | 'maintenance' | 'pins'>
  trust: Scores
  /** Fetches everything below a root that is not held, at most so much; resolves with what came over the network. */
  fetch: (
    cid: CID,
    options: { signal: AbortSignal; maxBytes: number },
  ) => Promise<{
    fetchedBytes: number
    source: string | undefined
  }>
  log: Logger
  now?: () => number
}

export interface Cache {
  start(): void
  stop(): Promise<void>
  /** Something was read by a person, in whole or in part. Never throws. */
  onReading(reading: Reading): void
  /** The first block of something came, which its reading then finds here. Never throws. */
  onFetched(reading: Reading): void
  /** So many bytes of blocks were stored. */
  onStored(bytes: number): void
  /** Whether blocks of a root are worth memory. */
  isHot(root: CID): boolean
  statistics(): CacheStatistics
}

export function createCache(options: CacheOptions): Cache {
  return new ContentCache(options)
}
