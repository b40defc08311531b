import { MEMORY_SAMPLE_INTERVAL_MS } from './limits.ts'
import type { Timing } from './types.ts'

/** The nearest-rank percentile: the least value that at least `percent` per cent of all are not above. Null of nothing. */
export function percentile(values: readonly number[], percent: number): number | null {
  if (values.length === 0) return null
  const sorted = [...values].sort((a, b) => a - b)
  const rank = Math.max(1, Math.ceil((percent / 100) * sorted.length))
  return sorted[rank - 1] ?? null
}

export function timingOf(durationsMs: readonly number[]): Timing {
  const round = (value: number | null): number | null => (value === null ? null : Math.round(value * 10) / 10)
  return {
    p50Ms: round(percentile(durationsMs, 50)),
    p99Ms: round(percentile(durationsMs, 99)),
    maxMs: round(percentile(durationsMs, 100)),
  }
}

/** Watches the memory of the process until it is stopped. */
export function watchMemory(): { peakRssBytes(): number; stop(): void } {
  let peak = process.memoryUsage.rss()
  const look = (): void => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }
  const timer = setInterval(look, MEMORY_SAMPLE_INTERVAL_MS)
  timer.unref()
  return {
    peakRssBytes() {
      look()
      return peak
    },
    stop: () => clearInterval(timer),
  }
}

/**
 * Does `work` for each item, at most `concurrency` at once. After a failure nothing more is begun; it is thrown once what was under
 * way has ended.
 */
export async function forEachLimited<T>(
  items: readonly T[],
  concurrency: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const entries = items.entries()
  const failures: unknown[] = []
  const worker = async (): Promise<void> => {
    for (const [index, item] of entries) {
      if (failures.length > 0) return
      try {
        await work(item, index)
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker))
  if (failures.length > 0) throw failures[0]
}
