import { seededTrace, replay, type Replay } from '../../test/support/cache-trace.ts'
import { MIB, type Row } from './report.ts'

const CAPACITIES_MIB = [128, 256]
const PREFETCH_BYTES_PER_SECOND = 512 * 1024

/**
 * Hit ratios of the three strategies on one trace (test/support/cache-trace.ts says what is in it). Nothing is measured that
 * depends on the machine: the same seed gives the same figures everywhere.
 */
export async function cacheRows(): Promise<Row[]> {
  const trace = seededTrace()
  return CAPACITIES_MIB.flatMap((capacity) => {
    const run = (strategy: 'lru' | 'trust' | 'predictive', prefetchBytesPerSecond = 0): Replay =>
      replay(trace, { strategy, capacityBytes: capacity * MIB, prefetchBytesPerSecond })
    const lru = run('lru')
    const runs = [
      ['lru', lru],
      ['trust', run('trust')],
      ['predictive, nothing ahead', run('predictive')],
      ['predictive', run('predictive', PREFETCH_BYTES_PER_SECOND)],
    ] as const
    return runs.map(([name, result]) => rowOf(`cache of ${capacity} MiB: ${name}`, result, lru))
  })
}

function rowOf(name: string, result: Replay, lru: Replay): Row {
  const { requests, hits, fetchedBytes, prefetches, usefulPrefetches } = result
  const ahead = prefetches === 0 ? '' : `; ${usefulPrefetches} of ${prefetches} fetched ahead were read`
  return {
    name,
    measured: `${hits} of ${requests} requests`,
    against: `lru ${((100 * lru.hits) / lru.requests).toFixed(1)} %`,
    value: (100 * hits) / requests,
    unit: '%',
    note: `${Math.round(fetchedBytes / MIB)} MiB fetched, lru ${Math.round(lru.fetchedBytes / MIB)}${ahead}`,
  }
}
