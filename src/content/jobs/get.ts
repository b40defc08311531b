import type { CID } from 'multiformats/cid'
import { setTimeout } from 'node:timers/promises'
import * as dagPb from '@ipld/dag-pb'
import type { FetchStatistics } from '../../../protocols/content/types.ts'
import type { JobContext, JobHandler } from '../../jobs/types.ts'
import type { Storage } from '../../storage/types.ts'
import type { Fetcher } from '../fetch/fetcher.ts'
import type { FetchPlan, FetchProgress } from '../fetch/session.ts'
import { isUnavailable } from '../fetch/session.ts'
import type { Address } from '../read/address.ts'
import { parseAddress } from '../read/address.ts'
import { walkDag } from '../read/car.ts'
import { resolveAddress } from '../read/resolve.ts'
import type { Target } from '../read/resolve.ts'
import type { GetParams, GetResult, PinParams, PinResult } from '../types.ts'
import { leaseOfJob } from '../import/add-job.ts'

/** Fetches under way at once; each asks several peers by itself. */
const CONCURRENT_GETS = 8
/** A fetch that got nothing is tried again so often, where there is reason to hope. */
const TRIES_WITHOUT_PROGRESS = 4
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000

export interface GetJobDependencies {
  storage: Pick<Storage, 'blocks' | 'pins'>
  fetcher: Fetcher
  /** Whether blocks can be had one by one where peers have failed. */
  hasIpfs: boolean
}

interface Fetched {
  target: Target
  statistics: FetchStatistics
}

/** The `get` job: fetches everything below an address into the store. What is held already is not fetched again. */
export function getJob(dependencies: GetJobDependencies): JobHandler<GetParams, GetResult> {
  return {
    kind: 'get',
    concurrency: CONCURRENT_GETS,
    resumable: true,
    title: ({ address }) => `get ${address}`,
    async run(context) {
      const lease = await dependencies.storage.blocks.lease(leaseOfJob(context.id))
      const { target, statistics } = await fetchAddress(dependencies, context, context.params.address, true)
      await lease.release()
      return {
        cid: target.cid.toString(),
        size: await sizeOf(dependencies, target),
        blocks: statistics.blocks + statistics.heldBlocks,
        fetchedBytes: statistics.bytes,
        sources: Object.entries(statistics.sources)
          .filter(([, { blocks }]) => blocks > 0)
          .map(([peer, { blocks, bytes }]) => ({ peer, blocks, bytes })),
      }
    },
    discard: (id) => releaseLease(dependencies, id),
  }
}

/** The `pin` job: fetches what is missing, then pins. */
export function pinJob(dependencies: GetJobDependencies): JobHandler<PinParams, PinResult> {
  const { storage } = dependencies
  return {
    kind: 'pin',
    concurrency: CONCURRENT_GETS,
    resumable: true,
    title: ({ address }) => `pin ${address}`,
    async run(context) {
      const { address, name = '', kind = 'recursive' } = context.params
      const lease = await storage.blocks.lease(leaseOfJob(context.id))
      const { target, statistics } = await fetchAddress(dependencies, context, address, kind === 'recursive')
      await storage.pins.add(target.cid, { name, kind, signal: context.signal })
      await lease.release()
      return { cid: target.cid.toString(), name, kind, fetchedBytes: statistics.bytes }
    },
    discard: (id) => releaseLease(dependencies, id),
  }
}

async function releaseLease({ storage }: GetJobDependencies, id: string): Promise<void> {
  await (await storage.blocks.lease(leaseOfJob(id))).release()
}

/**
 * Fetches with patience: a fetch that broke off after it had got something, or one that the daemon's restart broke off,
 * is tried again while the network comes back; an address that nobody has is not.
 */
async function fetchAddress(
  dependencies: GetJobDependencies,
  context: JobContext<unknown>,
  address: string,
  isDeep: boolean,
): Promise<Fetched> {
  const { signal } = context
  const total = emptyStatistics()
  let triesLeft = context.checkpoint === undefined ? 0 : TRIES_WITHOUT_PROGRESS
  let pauseMs = FIRST_PAUSE_MS
  await context.saveCheckpoint({ version: 1 })
  for (;;) {
    const before = total.blocks
    try {
      const target = await attempt(dependencies, context, address, isDeep, total)
      return { target, statistics: total }
    } catch (error) {
      signal.throwIfAborted()
      if (total.blocks > before) {
        triesLeft = TRIES_WITHOUT_PROGRESS
        pauseMs = FIRST_PAUSE_MS
      }
      if (!isUnavailable(error) || triesLeft === 0) throw error
      triesLeft -= 1
      context.waiting((error as Error).message)
      context.log.info({ address, error: String(error) }, 'a fetch broke off and is tried again')
    }
    await setTimeout(pauseMs, undefined, { signal })
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
    context.waiting(null)
  }
}

async function attempt(
  dependencies: GetJobDependencies,
  context: JobContext<unknown>,
  address: string,
  isDeep: boolean,
  total: FetchStatistics,
): Promise<Target> {
  const { fetcher, hasIpfs } = dependencies
  const { signal } = context
  const parsed = parseAddress(address)
  const root = await resolveRoot(fetcher, parsed, total, signal)
  const plan: FetchPlan = { dag: root, providersOf: parsed.root, scope: isDeep ? 'all' : 'block' }
  let seen = emptyStatistics()
  const onProgress = (progress: FetchProgress): void => {
    seen = progress
    const done = total.bytes + progress.bytes
    context.progress({
      done,
      ...(progress.knownBytes > 0 ? { total: Math.max(done, progress.knownBytes) } : {}),
      unit: 'bytes',
      counters: { blocks: total.blocks + progress.blocks, held: progress.heldBlocks },
    })
  }
  try {
    return await fetcher.fetch(plan, { signal, onProgress }, (statistics) => {
      seen = statistics
      return resolveAddress(fetcher.localReader(), parsed, signal)
    })
  } catch (error) {
    if (!hasIpfs || !isUnavailable(error)) throw error
    seen = structuredClone(seen)
    return await fetchByIpfs(fetcher, plan, parsed, isDeep, context, seen)
  } finally {
    merge(total, seen)
  }
}

/** What the path leads to. Without a path nothing is fetched for it: the fetch of the DAG begins with its root. */
async function resolveRoot(
  fetcher: Fetcher,
  address: Address,
  total: FetchStatistics,
  signal: AbortSignal,
): Promise<CID> {
  const { root, path } = address
  if (path.length === 0) return root
  const reader = fetcher.reader({ dag: root, providersOf: root, scope: 'block', path }, false)
  try {
    return (await resolveAddress(reader, address, signal)).cid
  } finally {
    if (reader.statistics !== undefined) merge(total, reader.statistics)
    await reader.close()
  }
}

/** Block by block, in the order of the DAG, with some asked for ahead. */
async function fetchByIpfs(
  fetcher: Fetcher,
  plan: FetchPlan,
  address: Address,
  isDeep: boolean,
  context: JobContext<unknown>,
  seen: FetchStatistics,
): Promise<Target> {
  const { signal } = context
  const reader = fetcher.reader(plan, false)
  try {
    const target = await resolveAddress(reader, address, signal)
    if (!isDeep) return target
    for await (const { bytes } of walkDag(reader, target.cid, signal)) {
      seen.blocks += 1
      seen.bytes += bytes.length
      context.progress({ done: seen.bytes, unit: 'bytes', counters: { blocks: seen.blocks } })
    }
    return target
  } finally {
    await reader.close()
  }
}

/** Bytes of content of a file; of anything else what its links claim to weigh. */
async function sizeOf({ storage }: GetJobDependencies, { cid, node, resolved }: Target): Promise<number> {
  if (resolved.size !== null) return resolved.size
  const bytes = await storage.blocks.get(cid)
  if (bytes === undefined) return 0
  if (node.type !== 'directory' && node.type !== 'shard') return bytes.length
  return dagPb.decode(bytes).Links.reduce((sum, link) => sum + (link.Tsize ?? 0), bytes.length)
}

function emptyStatistics(): FetchStatistics {
  return { blocks: 0, bytes: 0, heldBlocks: 0, sources: {}, duplicateBlocks: 0 }
}

function merge(total: FetchStatistics, part: FetchStatistics): void {
  total.blocks += part.blocks
  total.bytes += part.bytes
  total.heldBlocks = part.heldBlocks
  total.duplicateBlocks += part.duplicateBlocks
  for (const [peer, { blocks, bytes, failures }] of Object.entries(part.sources)) {
    const sum = (total.sources[peer] ??= { blocks: 0, bytes: 0, failures: 0 })
    sum.blocks += blocks
    sum.bytes += bytes
    sum.failures += failures
  }
}
