import { setTimeout } from 'node:timers/promises'
import type { CID } from 'multiformats/cid'
import type { FetchStatistics } from '../../../protocols/content/types.ts'
import type { JobContext } from '../../jobs/types.ts'
import type { ContentPolicy } from '../../trust/contract.ts'
import type { Fetcher } from '../fetch/fetcher.ts'
import type { FetchPlan, FetchProgress } from '../fetch/session.ts'
import { isUnavailable } from '../fetch/session.ts'
import type { NameResolver } from '../names/types.ts'
import type { Address } from '../read/address.ts'
import { rootedAddress } from '../read/named-address.ts'
import type { Target } from '../read/resolve.ts'
import { resolveAddress } from '../read/resolve.ts'

/** A fetch that got nothing is tried again so often, where there is reason to hope: for a minute in all. */
const TRIES_WITHOUT_PROGRESS = 6
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000

export interface Fetched {
  target: Target
  /** Blocks of the DAG that the address leads to. */
  blocks: number
  /** What came over the network, blocks on the way to the DAG included. */
  arrived: Arrived
}

type Arrived = Pick<FetchStatistics, 'blocks' | 'bytes' | 'sources'>

interface Checkpoint {
  version: 1
  /** `/ipfs/CID[/…]`; those of before have none. */
  path?: string
}

export interface FetchAddressOptions {
  fetcher: Fetcher
  /** Without it, addresses that begin with a name are refused. */
  names?: NameResolver | undefined
  /** What is read by nobody. */
  denied?: ContentPolicy | undefined
  address: string
  /** The whole DAG, or only the block that the address leads to. */
  isDeep: boolean
  /** Once all of it is here, and before what a fetch that was joined had got may be collected again. */
  onFetched?(target: Target): Promise<void>
}

/**
 * Gets what lies below an address into the store, with patience: a fetch that broke off after it had got something, or
 * one that a restart of the daemon broke off, is tried again while the network comes back; an address that nobody has
 * is not.
 *
 * @throws ERR_ADDRESS_INVALID, ERR_NOT_FOUND, ERR_FETCH_STALLED, and what `NameResolver.resolve` throws
 */
export async function fetchAddress(
  options: FetchAddressOptions,
  context: JobContext<unknown>,
): Promise<Fetched> {
  const { signal } = context
  const arrived: Arrived = { blocks: 0, bytes: 0, sources: {} }
  const saved = context.checkpoint as Checkpoint | undefined
  // A name may lead elsewhere after a restart: what was begun is what is ended.
  const { denied } = options
  const address = await rootedAddress(saved?.path ?? options.address, options.names, { signal, denied })
  let triesLeft = saved === undefined ? 0 : TRIES_WITHOUT_PROGRESS
  let pauseMs = FIRST_PAUSE_MS
  const checkpoint: Checkpoint = { version: 1, path: ['/ipfs', address.root, ...address.path].join('/') }
  await context.saveCheckpoint(checkpoint)
  for (;;) {
    const before = arrived.blocks
    try {
      return { ...(await attempt(options, address, context, arrived)), arrived }
    } catch (error) {
      signal.throwIfAborted()
      if (arrived.blocks > before) {
        triesLeft = TRIES_WITHOUT_PROGRESS
        pauseMs = FIRST_PAUSE_MS
      }
      if (!isUnavailable(error) || triesLeft === 0) throw error
      triesLeft -= 1
      context.waiting((error as Error).message)
      context.log.info(
        { address: options.address, error: String(error) },
        'a fetch broke off and is tried again',
      )
    }
    await setTimeout(pauseMs, undefined, { signal })
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
    context.waiting(null)
  }
}

async function attempt(
  { fetcher, isDeep, onFetched }: FetchAddressOptions,
  address: Address,
  context: JobContext<unknown>,
  arrived: Arrived,
): Promise<{ target: Target; blocks: number }> {
  const { signal } = context
  const dag = await dagOf(fetcher, address, arrived, signal)
  const plan: FetchPlan = { dag, providersOf: address.root, scope: isDeep ? 'all' : 'block' }
  let seen: Arrived = { blocks: 0, bytes: 0, sources: {} }
  const onProgress = (progress: FetchProgress): void => {
    seen = progress
    const done = arrived.bytes + progress.bytes
    context.progress({
      done,
      ...(progress.knownBytes > 0 ? { total: Math.max(done, progress.knownBytes) } : {}),
      unit: 'bytes',
      counters: { blocks: arrived.blocks + progress.blocks, held: progress.heldBlocks },
    })
  }
  try {
    return await fetcher.fetch(plan, { signal, onProgress }, async (statistics) => {
      seen = statistics
      const target = await resolveAddress(fetcher.localReader(), address, signal)
      await onFetched?.(target)
      return { target, blocks: statistics.blocks + statistics.heldBlocks }
    })
  } finally {
    merge(arrived, seen)
  }
}

/** What the path leads to. Without a path nothing is fetched for it: the fetch of the DAG begins with its root. */
async function dagOf(
  fetcher: Fetcher,
  address: Address,
  arrived: Arrived,
  signal: AbortSignal,
): Promise<CID> {
  const { root, path } = address
  if (path.length === 0) return root
  const reader = fetcher.reader({ dag: root, providersOf: root, scope: 'block', path }, false)
  try {
    return (await resolveAddress(reader, address, signal)).cid
  } finally {
    merge(arrived, reader.arrived)
    await reader.close()
  }
}

function merge(sum: Arrived, part: Arrived): void {
  sum.blocks += part.blocks
  sum.bytes += part.bytes
  for (const [peer, { blocks, bytes, failures }] of Object.entries(part.sources)) {
    const source = (sum.sources[peer] ??= { blocks: 0, bytes: 0, failures: 0 })
    source.blocks += blocks
    source.bytes += bytes
    source.failures += failures
  }
}
