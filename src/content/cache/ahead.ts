import type { CID } from 'multiformats/cid'
import type { Fetcher } from '../fetch/fetcher.ts'
import type { CacheConfig } from './index.ts'

/** `content.cache` of the configuration. */
type ConfiguredCache = Pick<CacheConfig, 'strategy' | 'limit'> & {
  readonly prefetchBytesPerSecond: number
}

/** A limit of the whole quota means that nothing goes by itself. */
export function cacheConfig(config: ConfiguredCache): CacheConfig {
  return { ...config, limit: config.limit >= 1 ? Number.POSITIVE_INFINITY : config.limit }
}

/** Fetches a whole DAG that nobody reads yet; gives up once more has come than may. */
export async function fetchAhead(
  fetcher: Fetcher,
  cid: CID,
  { signal, maxBytes }: { signal: AbortSignal; maxBytes: number },
): Promise<{ fetchedBytes: number; source: string | undefined }> {
  const over = new AbortController()
  return fetcher.fetch(
    { dag: cid, providersOf: cid, scope: 'all' },
    {
      signal: AbortSignal.any([signal, over.signal]),
      isAhead: true,
      onProgress: ({ bytes }) => {
        if (bytes > maxBytes) over.abort(new Error('more than was expected'))
      },
    },
    async ({ bytes, sources }) => {
      const [most] = Object.entries(sources).toSorted(([, a], [, b]) => b.bytes - a.bytes)
      return { fetchedBytes: bytes, source: most?.[0] }
    },
  )
}
