import type { CID } from 'multiformats/cid'
import type {
  BlockSource,
  ByteRange,
  Content,
  DagFetch,
  FetchStatistics,
  Scope,
} from '../../../protocols/content/types.ts'
import type { Blocks, Lease } from '../../storage/types.ts'
import { blockNotFound, fetchStalled } from '../errors.ts'
import type { StepAnswer } from '../errors.ts'
import type { PeerSources } from './sources.ts'

/** What is to be fetched. */
export interface FetchPlan {
  /** The DAG's root. */
  dag: CID
  /** Whose providers are looked up: the root that was published, where `dag` is a part of it. */
  providersOf: CID
  scope: Scope
  path?: string[]
  range?: ByteRange
}

export type FetchProgress = FetchStatistics & { knownBytes: number }

/** Plans with the same key are served by the same session. */
export function planKey({ dag, scope, path = [], range }: FetchPlan): string {
  return JSON.stringify([dag.toString(), scope, path, range?.from ?? null, range?.to ?? null])
}

/** The code of an error, where it has one. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** Whether another step could still find what this error says is not to be had. */
export function isUnavailable(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ERR_NOT_FOUND' || code === 'ERR_FETCH_STALLED'
}

export interface SessionOptions {
  plan: FetchPlan
  blocks: Blocks
  content: Pick<Content, 'fetchDag'>
  sources: (signal: AbortSignal) => PeerSources
}

/**
 * One DAG on its way, for everybody who reads it at the moment. What it fetches and what it finds held is under a lease,
 * so that the collector takes nothing away between the first block and the last.
 */
export class FetchSession {
  readonly #plan: FetchPlan
  readonly #controller = new AbortController()
  readonly #sources: PeerSources
  readonly #fetch: DagFetch
  readonly #lease: Lease
  readonly #listeners = new Set<(progress: FetchProgress) => void>()
  #failure: { error: unknown } | undefined

  private constructor(options: SessionOptions, lease: Lease) {
    const { plan, blocks, content, sources } = options
    this.#plan = plan
    this.#lease = lease
    this.#sources = sources(this.#controller.signal)
    const held: BlockSource = {
      get: async (cid) => {
        await lease.touch([cid])
        return blocks.get(cid)
      },
      has: async (cid) => {
        await lease.touch([cid])
        return blocks.has(cid)
      },
    }
    this.#fetch = content.fetchDag(plan.dag, {
      scope: plan.scope,
      ...(plan.path === undefined ? {} : { path: plan.path }),
      ...(plan.range === undefined ? {} : { range: plan.range }),
      sources: this.#sources,
      held,
      sink: { put: (cid, bytes, options) => blocks.put(cid, bytes, options) },
      signal: this.#controller.signal,
      onProgress: (progress) => {
        for (const listener of this.#listeners) listener(progress)
      },
    })
    this.#fetch.done
      .catch((error: unknown) => {
        this.#failure = { error }
      })
      .finally(() => this.#sources.close())
      .catch(() => {})
  }

  static async open(options: SessionOptions, leaseId: string): Promise<FetchSession> {
    return new FetchSession(options, await options.blocks.lease(leaseId, { endsWithProcess: true }))
  }

  /** True once it failed: it will not get anything any more. */
  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  get statistics(): FetchStatistics {
    return this.#fetch.statistics
  }

  answers(): StepAnswer[] {
    return this.#sources.answers()
  }

  /** @throws ERR_NOT_FOUND, ERR_FETCH_STALLED, each with what every step answered; whatever the signal aborts with */
  async need(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    try {
      return await this.#fetch.need(cid, signal)
    } catch (error) {
      throw this.#explained(cid, error)
    }
  }

  /** Resolves once all of the plan is held. */
  async done(onProgress?: (progress: FetchProgress) => void): Promise<FetchStatistics> {
    if (onProgress !== undefined) this.#listeners.add(onProgress)
    try {
      return await this.#fetch.done
    } catch (error) {
      throw this.#explained(this.#plan.dag, error)
    } finally {
      if (onProgress !== undefined) this.#listeners.delete(onProgress)
    }
  }

  async close(): Promise<void> {
    this.#controller.abort()
    this.#sources.close()
    await this.#lease.release()
  }

  #explained(cid: CID, error: unknown): unknown {
    if (codeOf(error) === 'ERR_NOT_FOUND') return blockNotFound(cid, this.answers(), error)
    if (codeOf(error) === 'ERR_FETCH_STALLED') return fetchStalled(cid, this.answers(), error)
    return error
  }
}
