import type { PeerId } from '@libp2p/interface'
import { signLease } from '../../../protocols/chunk/format/index.ts'
import type { Chunk, SlabIndex } from '../../../protocols/chunk/types.ts'
import type { JobContext, JobHandler } from '../../jobs/types.ts'
import type { ColumnAt, Restorer } from '../contracts.ts'
import { hintHolders } from './hint.ts'
import {
  COMPLETE_RETRY_MS,
  COMPLETE_SETTLE_MS,
  CONCURRENT_COMPLETIONS,
  REQUEST_TIMEOUT_MS,
} from './limits.ts'
import { nextSequence, signerOf } from './statements.ts'
import type { OwnerSlab, OwnerState } from './state.ts'

export interface CompleteParams {
  /** Of the object. */
  id: string
}

export interface CompleteResult {
  /** Columns that were added. */
  added: number
}

export interface CompleteDependencies {
  state: OwnerState
  ownerSecret: () => Uint8Array
  networkName: string
  chunk: Pick<Chunk, 'peers' | 'onPeer' | 'index' | 'hint'>
  restorer: Restorer
  onChange(): void
}

/**
 * The `complete` job: adds the columns that a degraded put had no holders for, as peers come, and nothing else. Works from
 * the columns that are there, so that it needs neither the source nor the file's key.
 */
export function completeJob(dependencies: CompleteDependencies): JobHandler<CompleteParams, CompleteResult> {
  return {
    kind: 'complete',
    concurrency: CONCURRENT_COMPLETIONS,
    resumable: true,
    title: () => 'add the missing columns of a private file',
    run: (context) => run(dependencies, context),
  }
}

async function run(
  dependencies: CompleteDependencies,
  context: JobContext<CompleteParams>,
): Promise<CompleteResult> {
  const { state, chunk, onChange } = dependencies
  const { signal, params, log } = context
  let added = 0
  for (;;) {
    signal.throwIfAborted()
    const object = state.object(params.id)
    // Deleted meanwhile, or made whole by another run.
    if (object === undefined || object.state !== 'degraded') return { added }
    const waiter = nextPeer(chunk, signal)
    try {
      for (const slab of state.allSlabsOf(params.id)) {
        const missing = missingColumns(state, slab)
        if (missing.length === 0) continue
        try {
          added += await complete(dependencies, slab, missing, signal)
        } catch (error) {
          signal.throwIfAborted()
          log.debug({ err: error }, 'columns could not be added yet')
        }
      }
      const { missing } = state.usageOf(params.id)
      context.progress({ done: added, total: added + missing, unit: 'items', counters: { added, missing } })
      if (missing === 0) {
        await state.database.write(() => state.setObjectState(params.id, 'stored'))
        onChange()
        return { added }
      }
      context.waiting(`${missing} columns wait for more peers that lend storage`)
      await waiter.wait()
      context.waiting(null)
    } finally {
      waiter.end()
    }
  }
}

function missingColumns(state: OwnerState, slab: OwnerSlab): number[] {
  const held = new Set(
    state
      .columnsOf(slab.id)
      .filter(({ counts }) => counts)
      .map(({ column }) => column),
  )
  return Array.from({ length: slab.n }, (_, column) => column).filter((column) => !held.has(column))
}

async function complete(
  { state, ownerSecret, networkName, chunk, restorer }: CompleteDependencies,
  slab: OwnerSlab,
  missing: readonly number[],
  signal: AbortSignal,
): Promise<number> {
  const peers = new Map(chunk.peers().map((peer) => [peer.toString(), peer]))
  const held: ColumnAt[] = []
  for (const { column, peer, receipt, gone } of state.columnsOf(slab.id)) {
    const id = peers.get(peer)
    if (id === undefined || receipt === null || gone || slab.indexHash === null) continue
    held.push({ slab: slab.id, column, indexHash: slab.indexHash, peer: id })
  }
  const index = await indexOf(chunk, held, signal)
  if (index === undefined) return 0
  // As long as the others' lease, under a number of its own: a renewal that is under way has given out the slab's last one.
  const lease = await state.database.write(() => {
    const { leaseUntilMs, leaseSequence } = state.slab(slab.id) ?? slab
    const sequence = nextSequence(leaseSequence, Date.now())
    state.setSequence(slab.id, sequence)
    return { untilMs: leaseUntilMs, sequence }
  })
  const restored = await restorer.restore({
    index,
    lease: signLease(signerOf(ownerSecret(), slab), networkName, lease).signed,
    columns: missing,
    held,
    purpose: 'put',
    signal,
  })
  await state.database.write(() => {
    for (const { peer, receipt } of restored) state.setReceipt(receipt, peer.toString())
  })
  if (restored.length > 0) {
    const holders: PeerId[] = [...held, ...restored].map(({ peer }) => peer)
    await hintHolders({ chunk }, { id: slab.group, peers: holders }, signal)
  }
  return restored.length
}

async function indexOf(
  chunk: Pick<Chunk, 'index'>,
  held: readonly ColumnAt[],
  signal: AbortSignal,
): Promise<SlabIndex | undefined> {
  for (const { peer, slab, indexHash } of held) {
    try {
      const patience = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)])
      const index = await chunk.index(peer, slab, patience)
      if (Buffer.compare(index.hash, indexHash) === 0) return index
    } catch {
      signal.throwIfAborted()
    }
  }
  return undefined
}

/** Waits until a peer connects (from its making on), or a while. */
function nextPeer(chunk: Pick<Chunk, 'onPeer'>, signal: AbortSignal): { wait(): Promise<void>; end(): void } {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  promise.catch(() => {})
  const timer = setTimeout(resolve, COMPLETE_RETRY_MS)
  const onAbort = () => reject(signal.reason as Error)
  signal.addEventListener('abort', onAbort, { once: true })
  const forget = chunk.onPeer(({ type }) => {
    // Others that come with it are placed at once.
    if (type === 'connected') setTimeout(resolve, COMPLETE_SETTLE_MS)
  })
  return {
    wait: () => promise,
    end() {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      forget()
    },
  }
}
