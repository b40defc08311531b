import type { CID } from 'multiformats/cid'
import type { Jobs, JobState } from '../../jobs/types.ts'
import type { Blocks } from '../../storage/types.ts'
import type { AcquireParams } from '../jobs/acquire.ts'
import { FULL_SHARE, MAX_WAITING_ACQUISITIONS, OVERHEAD_BYTES, OVERHEAD_SHARE } from './limits.ts'

const UNFINISHED: readonly JobState[] = ['queued', 'running', 'waiting']

/** What a DAG of so much content may take. */
export function withOverhead(sizeBytes: number): number {
  return Math.ceil(sizeBytes * (1 + OVERHEAD_SHARE)) + OVERHEAD_BYTES
}

/** Begins jobs that fetch for policies, where there is room for what they may bring. */
export class Acquirer {
  readonly #jobs: Pick<Jobs, 'list' | 'submit'>
  readonly #blocks: Pick<Blocks, 'usage'>

  constructor(jobs: Pick<Jobs, 'list' | 'submit'>, blocks: Pick<Blocks, 'usage'>) {
    this.#jobs = jobs
    this.#blocks = blocks
  }

  /** Whether so many bytes fit beside what is stored and what is on its way, below the share that policies may fill. */
  hasRoom(sizeBytes: number): boolean {
    const unfinished = this.#unfinished()
    if (unfinished.length >= MAX_WAITING_ACQUISITIONS) return false
    const { usedBytes, quotaBytes } = this.#blocks.usage()
    const comingBytes = unfinished.reduce((sum, { maxBytes }) => sum + maxBytes, 0)
    return usedBytes + comingBytes + withOverhead(sizeBytes) <= quotaBytes * FULL_SHARE
  }

  isOnItsWay(cid: CID, pin: string | null): boolean {
    const text = cid.toString()
    return this.#unfinished().some((params) => params.cid === text && params.pin === pin)
  }

  /** Durable once it resolves. */
  async acquire(
    what: Omit<AcquireParams, 'maxBytes' | 'cid'> & { cid: CID; sizeBytes: number },
  ): Promise<void> {
    const { cid, sizeBytes, ...params } = what
    await this.#jobs.submit('acquire', {
      ...params,
      cid: cid.toString(),
      maxBytes: withOverhead(sizeBytes),
    } satisfies AcquireParams)
  }

  #unfinished(): AcquireParams[] {
    return UNFINISHED.flatMap((state) =>
      this.#jobs
        .list({ kind: 'acquire', state, limit: MAX_WAITING_ACQUISITIONS })
        .map(({ params }) => params as AcquireParams),
    )
  }
}
