import { CacheModel } from '../../src/content/cache/model.ts'
import type { CacheStrategy } from '../../src/content/cache/types.ts'

/** One request of the trace. */
export interface TraceRequest {
  key: string
  bytes: number
  /** Who has it: the score is `scoreOf(source)`. */
  source: string
  atMs: number
}

/** Mulberry32: the same numbers everywhere. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
}

const KIB = 1024
const STEP_MS = 20_000

/**
 * Nine days at a node, from a seed: what some dozens of people ask for.
 *
 * - favourites: 3 000 contents by Zipf's law (exponent 1); half way a fifth of them change places with others
 * - series: 40 folders of 30 files, read from the first to the last, each folder some dozens of times in all
 * - scans: twice somebody walks through 2 500 contents that nobody asks for again, all of one peer that is not trusted
 *
 * Sizes are log-normal around 256 KiB. Requests come every 20 s, which is what a busy node for a household sees.
 */
export function seededTrace(seed = 1): TraceRequest[] {
  const random = generator(seed)
  const sizes = new Map<string, number>()
  const trace: TraceRequest[] = []
  const favourites = Array.from({ length: 3_000 }, (_, index) => `favourite/${index}`)
  const cumulative: number[] = []
  let weight = 0
  for (const index of favourites.keys()) cumulative.push((weight += 1 / (index + 1)))

  const ask = (key: string, source: string): void => {
    let bytes = sizes.get(key)
    if (bytes === undefined) {
      const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
      bytes = Math.ceil(256 * KIB * Math.exp(normal))
      sizes.set(key, bytes)
    }
    trace.push({ key, bytes, source, atMs: trace.length * STEP_MS })
  }
  const favourite = (): void => {
    const at = random() * weight
    let [low, high] = [0, cumulative.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((cumulative[middle] as number) < at) low = middle + 1
      else high = middle
    }
    ask(favourites[low] as string, `good/${low % 10}`)
  }
  const series = (): void => {
    const folder = Math.floor(random() * 40)
    for (let file = 0; file < 30; file++) {
      ask(`series/${folder}/${file}`, `good/${folder % 10}`)
      if (random() < 0.2) favourite()
    }
  }
  const ordinary = (requests: number): void => {
    const end = trace.length + requests
    while (trace.length < end) {
      if (random() < 0.02) series()
      else favourite()
    }
  }
  const scan = (name: string): void => {
    for (let index = 0; index < 2_500; index++) {
      ask(`scan/${name}/${index}`, 'bad/0')
      if (random() < 0.3) favourite()
    }
  }

  ordinary(12_000)
  scan('morning')
  ordinary(8_000)
  // The fashion changes.
  for (let index = 0; index < favourites.length / 5; index++) {
    const other = Math.floor(random() * favourites.length)
    const [one, two] = [favourites[index] as string, favourites[other] as string]
    favourites[index] = two
    favourites[other] = one
  }
  ordinary(8_000)
  scan('evening')
  ordinary(6_000)
  return trace
}

export function scoreOf(source: string): number {
  return source.startsWith('bad/') ? 0.2 : 0.7
}

export interface Replay {
  requests: number
  hits: number
  /** Bytes that came over the network, what was fetched ahead included. */
  fetchedBytes: number
  prefetchedBytes: number
  /** Of what was fetched ahead, how much was read before it went. */
  usefulPrefetches: number
  prefetches: number
}

/** Plays a trace against a cache of so many bytes, as the node does it: above the limit what the model names goes. */
export function replay(
  trace: readonly TraceRequest[],
  options: { strategy: CacheStrategy; capacityBytes: number; prefetchBytesPerSecond?: number },
): Replay {
  const { strategy, capacityBytes, prefetchBytesPerSecond = 0 } = options
  const model = new CacheModel({ strategy, scoreOf })
  const known = new Map(trace.map(({ key, bytes, source }) => [key, { bytes, source }]))
  const held = new Map<string, number>()
  const ahead = new Set<string>()
  const result: Replay = {
    requests: 0,
    hits: 0,
    fetchedBytes: 0,
    prefetchedBytes: 0,
    usefulPrefetches: 0,
    prefetches: 0,
  }
  let usedBytes = 0
  let budgetBytes = prefetchBytesPerSecond * 60
  let lastMs = 0

  const keep = (key: string, nowMs: number): void => {
    const { bytes, source } = known.get(key) as { bytes: number; source: string }
    held.set(key, bytes)
    usedBytes += bytes
    result.fetchedBytes += bytes
    model.hold(key, { bytes, source }, nowMs)
    if (usedBytes <= capacityBytes) return
    for (const victim of model.victims(nowMs)) {
      if (usedBytes <= capacityBytes * 0.9) break
      usedBytes -= held.get(victim) ?? 0
      held.delete(victim)
      ahead.delete(victim)
      model.drop(victim)
    }
  }

  for (const { key, atMs } of trace) {
    budgetBytes = Math.min(
      prefetchBytesPerSecond * 60,
      budgetBytes + ((atMs - lastMs) / 1_000) * prefetchBytesPerSecond,
    )
    lastMs = atMs
    result.requests += 1
    model.read(key, atMs)
    if (held.has(key)) {
      result.hits += 1
      if (ahead.delete(key)) result.usefulPrefetches += 1
    } else keep(key, atMs)
    for (const next of model.next(key)) {
      const bytes = known.get(next.key)?.bytes ?? 0
      if (held.has(next.key) || bytes > budgetBytes) continue
      budgetBytes -= bytes
      result.prefetchedBytes += bytes
      result.prefetches += 1
      ahead.add(next.key)
      keep(next.key, atMs)
    }
  }
  return result
}
