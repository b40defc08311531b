import { CID } from 'multiformats/cid'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { JobContext, JobHandler } from '../../jobs/types.ts'
import { leaseOfJob } from '../import/add-job.ts'
import { fetchAddress } from './fetch-address.ts'
import { type GetJobDependencies, releaseLease } from './get.ts'

/** What a policy fetches by itself; fewer at once than what people ask for. */
const CONCURRENT_ACQUISITIONS = 2

/** Parameters of an `acquire` job: content that a policy of this node wants, not a person. */
export interface AcquireParams {
  cid: string
  /** Why: `announced`, `auto`, `recent`, `promise`. */
  reason: string
  /** Text form of the peer id on whose account it is. */
  peer: string
  /** Ends as failed once more has come over the network: a size that was announced is a claim. */
  maxBytes: number
  /** The pin's name; null: only fetched, and evicted like anything that was. */
  pin: string | null
}

export interface AcquireResult {
  cid: string
  fetchedBytes: number
  blocks: number
}

export interface AcquireDependencies extends GetJobDependencies {
  onAcquired?: (params: AcquireParams, result: AcquireResult) => void
  /** It failed for good or was cancelled. */
  onGivenUp?: (params: AcquireParams) => void
}

/** The `acquire` job: fetches within a budget, then pins where that is wanted. */
export function acquireJob(dependencies: AcquireDependencies): JobHandler<AcquireParams, AcquireResult> {
  const { storage } = dependencies
  return {
    kind: 'acquire',
    concurrency: CONCURRENT_ACQUISITIONS,
    resumable: true,
    title: ({ cid, reason }) => `acquire ${cid} (${reason})`,
    async run(context) {
      const { params, signal } = context
      const { cid, maxBytes, pin } = params
      const lease = await storage.blocks.lease(leaseOfJob(context.id))
      const onFetched = async (): Promise<void> => {
        if (pin !== null) await storage.pins.add(CID.parse(cid), { name: pin, kind: 'recursive', signal })
      }
      const { blocks, arrived } = await withinBudget(context, maxBytes, (bounded) =>
        fetchAddress({ ...dependencies, address: cid, isDeep: true, onFetched }, bounded),
      )
      await lease.release()
      const result = { cid, fetchedBytes: arrived.bytes, blocks }
      dependencies.onAcquired?.(params, result)
      return result
    },
    async discard(id, params) {
      await releaseLease(dependencies, id)
      dependencies.onGivenUp?.(params)
    },
  }
}

/** Runs with a context whose signal aborts once more has arrived than may. @throws ERR_BUDGET_EXCEEDED */
async function withinBudget<Params, Result>(
  context: JobContext<Params>,
  maxBytes: number,
  work: (context: JobContext<Params>) => Promise<Result>,
): Promise<Result> {
  const over = new AbortController()
  const bounded: JobContext<Params> = {
    ...context,
    signal: AbortSignal.any([context.signal, over.signal]),
    checkpoint: context.checkpoint,
    saveCheckpoint: (checkpoint) => context.saveCheckpoint(checkpoint),
    waiting: (reason) => context.waiting(reason),
    progress(progress) {
      context.progress(progress)
      if (progress.done > maxBytes) over.abort()
    },
  }
  try {
    return await work(bounded)
  } catch (error) {
    if (!over.signal.aborted || context.signal.aborted) throw error
    const message = `more than the ${maxBytes} bytes came that it may take`
    throw new P2pnodeError('ERR_BUDGET_EXCEEDED', 'too-large', message, { details: { maxBytes } })
  }
}
