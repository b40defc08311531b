import type { CID } from 'multiformats/cid'
import type {
  BlockSource,
  ByteRange,
  Content,
  DagFetch,
  FetchStatistics,
  Scope,
} from '../../../protocols/content/types.ts'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { Blocks, Lease } from '../../storage/types.ts'
import type { DiscoverySteps, OuterSteps } from '../flow/steps.ts'
import type { ContentPolicy } from '../../trust/contract.ts'
import type { ContentFacts } from '../router/types.ts'
import type { PrivateContent } from '../private/private-content.ts'
import { assertMayRead } from '../denied.ts'
import { blockNotFound, fetchStalled } from '../errors.ts'
import type { StepAnswer } from '../errors.ts'
import { resultOf } from './outcome.ts'
import type { PeerSources, SourceDependencies } from './sources.ts'
import { Touches } from './touches.ts'

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

/**
 * Whether this error says that blocks are not to be had at the moment, so that another step or a later time could help.
 * A path that does not exist has the same code and is nobody's fault.
 */
export function isUnavailable(error: unknown): boolean {
  return error instanceof P2pnodeError && Object.hasOwn(error.details, 'steps')
}

export interface SessionOptions {
  plan: FetchPlan
  blocks: Blocks
  content: Pick<Content, 'fetchDag'>
  steps: DiscoverySteps
  /** No block from anybody for so long ends it. */
  stallTimeoutMs?: number | undefined
  /** What is private here; what a peer says is private becomes so. */
  privacy?: PrivateContent | undefined
  /** What is asked of nobody, and not kept where somebody sends it; by default nothing is. */
  denied?: ContentPolicy | undefined
  sources: (signal: AbortSignal, facts: ContentFacts) => PeerSources
  /** What is known of content before anybody is asked; must not throw. */
  factsOf?: ((root: CID) => Promise<ContentFacts>) | undefined
  router: SourceDependencies['router']
  /** So many bytes have arrived to be stored. */
  onStored?: ((bytes: number) => void) | undefined
}

/**
 * One DAG on its way, for everybody who reads it at the moment. What it fetches and what it finds held is under a lease,
 * so that the collector takes nothing away between the first block and the last.
 */
export class FetchSession {
  readonly #plan: FetchPlan
  readonly #controller = new AbortController()
  readonly #sources: PeerSources
  readonly #outer: OuterSteps
  readonly #fetch: DagFetch
  readonly #lease: Lease
  readonly #listeners = new Set<(progress: FetchProgress) => void>()
  #state: 'open' | 'complete' | 'failed' = 'open'

  private constructor(options: SessionOptions, lease: Lease, facts: ContentFacts) {
    const { plan, blocks, content, steps, privacy, denied, sources, router, stallTimeoutMs, onStored } =
      options
    this.#plan = plan
    this.#lease = lease
    this.#sources = sources(this.#controller.signal, facts)
    this.#outer = steps.open(plan, facts)
    const startMs = performance.now()
    const touches = new Touches(lease)
    // Whatever is looked up here and not held is asked of others next.
    const held: BlockSource = {
      get: async (cid) => {
        await touches.touch(cid)
        const bytes = await blocks.get(cid)
        if (bytes === undefined) assertMayRead(cid, denied)
        return bytes
      },
      has: async (cid) => {
        await touches.touch(cid)
        const isHeld = await blocks.has(cid)
        if (!isHeld) assertMayRead(cid, denied)
        return isHeld
      },
    }
    this.#fetch = content.fetchDag(plan.dag, {
      scope: plan.scope,
      ...(plan.path === undefined ? {} : { path: plan.path }),
      ...(plan.range === undefined ? {} : { range: plan.range }),
      sources: this.#sources,
      helpers: this.#outer.helpers,
      ...(router === undefined ? {} : { sourceCount: (bytes) => router.optimalCount(bytes) }),
      onSource: (outcome) => {
        const result = resultOf(outcome)
        if (result === undefined) return
        const { peer, bytes, transferMs, latencyMs } = outcome
        router?.report(plan.providersOf, {
          kind: 'peer',
          id: peer.toString(),
          result,
          bytes,
          transferMs,
          latencyMs,
        })
      },
      held,
      sink: {
        async put(cid, bytes, { private: isPrivate = false, ...options }) {
          assertMayRead(cid, denied)
          onStored?.(bytes.length)
          if (privacy === undefined) return blocks.put(cid, bytes, options)
          const isKnown = privacy.isPrivate(cid)
          if (isPrivate && !isKnown && cid.equals(plan.dag)) await privacy.markRoot(cid)
          await (isPrivate || isKnown ? privacy : blocks).put(cid, bytes, options)
        },
      },
      signal: this.#controller.signal,
      ...(stallTimeoutMs === undefined ? {} : { stallTimeoutMs }),
      onProgress: (progress) => {
        for (const listener of this.#listeners) listener(progress)
      },
    })
    this.#fetch.done
      .then(
        () => {
          this.#state = 'complete'
        },
        () => {
          this.#state = 'failed'
        },
      )
      .finally(() => {
        this.#sources.close()
        this.#outer.close()
        steps.count(this.#fetch.statistics, performance.now() - startMs)
      })
  }

  static async open(options: SessionOptions, leaseId: string): Promise<FetchSession> {
    const facts = (await options.factsOf?.(options.plan.dag)) ?? {}
    const lease = await options.blocks.lease(leaseId, { endsWithProcess: true })
    return new FetchSession(options, lease, facts)
  }

  /** Once it is not open any more, it will not get anything. */
  get state(): 'open' | 'complete' | 'failed' {
    return this.#state
  }

  get statistics(): FetchStatistics {
    return this.#fetch.statistics
  }

  answers(): StepAnswer[] {
    return [...this.#sources.answers(), ...this.#outer.answers()]
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
    this.#outer.close()
    await this.#fetch.kept()
    await this.#lease.release()
  }

  /** Errors of the protocol with what each step answered; others as they are. */
  #explained(cid: CID, error: unknown): unknown {
    if (!(error instanceof P2pnodeError) || Object.hasOwn(error.details, 'segment')) return error
    if (error.code === 'ERR_NOT_FOUND') return blockNotFound(cid, this.answers(), error)
    if (error.code === 'ERR_FETCH_STALLED') return fetchStalled(cid, this.answers(), error)
    return error
  }
}
