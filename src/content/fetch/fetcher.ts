import type { CID } from 'multiformats/cid'
import type { Content, FetchStatistics } from '../../../protocols/content/types.ts'
import { unlessAborted } from '../../../protocols/shared/unless-aborted.ts'
import type { Blocks } from '../../storage/types.ts'
import type { ContentPolicy } from '../../trust/contract.ts'
import { blockNotFound, cancelled } from '../errors.ts'
import type { Cache, Reading } from '../cache/index.ts'
import type { BlockReader } from '../read/block-reader.ts'
import type { DiscoverySteps } from '../flow/steps.ts'
import type { PrivateContent } from '../private/private-content.ts'
import type { ContentFacts } from '../router/types.ts'
import type { FetchPlan, FetchProgress } from './session.ts'
import { assertMayRead } from '../denied.ts'
import { FetchSession, isUnavailable, planKey } from './session.ts'
import type { SourceDependencies } from './sources.ts'
import { PeerSources } from './sources.ts'

/** DAGs on their way at once; each has streams and up to some MiB in flight. More wait for nothing: they are refused. */
const MAX_SESSIONS = 64

export interface FetcherOptions extends SourceDependencies {
  blocks: Blocks
  content: Pick<Content, 'peers' | 'protocols' | 'fetchDag'>
  /** The steps after the peers. */
  steps: DiscoverySteps
  privacy?: PrivateContent | undefined
  /** What is read by nobody; by default nothing is. */
  denied?: ContentPolicy | undefined
  /** What is known of content before anybody is asked; must not throw. */
  factsOf?: ((root: CID) => Promise<ContentFacts>) | undefined
  stallTimeoutMs?: number | undefined
  /** Told of what is read and stored; says what is worth memory. */
  cache?: Pick<Cache, 'onReading' | 'onFetched' | 'onStored' | 'isHot'> | undefined
}

interface SharedSession {
  session: Promise<FetchSession>
  opened?: FetchSession
  users: number
}

/**
 * Gets what is not held: one session a plan, shared by everybody who wants the same, and ended when the last of them
 * goes. It asks the own store, then peers by the content protocol, then the steps of `src/content/flow`.
 */
export class Fetcher {
  readonly #options: FetcherOptions
  readonly #sessions = new Map<string, SharedSession>()
  #leases = 0

  constructor(options: FetcherOptions) {
    this.#options = options
  }

  /** A reader that asks for nothing until it meets a block that is not held. */
  reader(plan: FetchPlan, offline: boolean): FetchingReader {
    return new FetchingReader(plan, offline, this.#options, (plan) => this.#join(plan))
  }

  /** Reads what is held and nothing else. */
  localReader(): BlockReader {
    const { blocks, denied } = this.#options
    return {
      get: async (cid, signal) => {
        assertMayRead(cid, denied)
        const bytes = await blocks.get(cid, { signal })
        if (bytes === undefined)
          throw blockNotFound(cid, [{ step: 'local', answer: 'not held, and offline' }])
        return bytes
      },
    }
  }

  /**
   * Gets everything of a plan into the store. `ended` runs before what was fetched may be collected again.
   *
   * @throws ERR_NOT_FOUND, ERR_FETCH_STALLED
   */
  async fetch<Result>(
    plan: FetchPlan,
    options: {
      signal: AbortSignal
      onProgress?: (progress: FetchProgress) => void
      /** Nobody reads it yet. */
      isAhead?: boolean
    },
    ended: (statistics: FetchStatistics) => Promise<Result>,
  ): Promise<Result> {
    const { session, leave } = await this.#join(plan)
    try {
      const done = unlessAborted(session.done(options.onProgress), options.signal)
      const statistics = await done.catch((error: unknown) => {
        // What came of it is there all the same, and has to be known to go again.
        const came = readingOf(plan, session.statistics)
        if (came.fetchedBytes > 0) this.#options.cache?.onFetched(came)
        throw error
      })
      if (options.isAhead !== true) this.#options.cache?.onReading(readingOf(plan, statistics))
      return await ended(statistics)
    } finally {
      await leave()
    }
  }

  /** Where blocks of `root` could come from. */
  sources(root: CID, signal: AbortSignal, facts: ContentFacts = {}): PeerSources {
    return new PeerSources(root, signal, this.#options, facts)
  }

  async close(): Promise<void> {
    const open = [...this.#sessions.values()]
    this.#sessions.clear()
    await Promise.allSettled(open.map(async ({ session }) => (await session).close()))
  }

  async #join(plan: FetchPlan): Promise<JoinedSession> {
    assertMayRead(plan.dag, this.#options.denied)
    let key = planKey(plan)
    const wholeKey = planKey({ dag: plan.dag, providersOf: plan.providersOf, scope: 'all' })
    // Whoever wants a part of what is on its way whole joins that: two sessions would fetch the same blocks twice.
    if (this.#running(key) === undefined && plan.path === undefined && this.#running(wholeKey) !== undefined)
      key = wholeKey
    let joined = this.#running(key)
    if (joined === undefined) {
      if (this.#sessions.size >= MAX_SESSIONS) {
        throw blockNotFound(plan.dag, [{ step: 'peers', answer: 'too many fetches are under way' }])
      }
      joined = this.#open(plan)
      this.#sessions.set(key, joined)
    }
    const shared = joined
    shared.users += 1
    const leave = async (): Promise<void> => {
      shared.users -= 1
      if (shared.users > 0) return
      if (this.#sessions.get(key) === shared) this.#sessions.delete(key)
      await (await shared.session).close()
    }
    try {
      return { session: await shared.session, leave }
    } catch (error) {
      if (this.#sessions.get(key) === shared) this.#sessions.delete(key)
      throw error
    }
  }

  /** A failed session must not decide for those who come later; its users keep it. */
  #running(key: string): SharedSession | undefined {
    const shared = this.#sessions.get(key)
    return shared?.opened?.state === 'failed' ? undefined : shared
  }

  #open(plan: FetchPlan): SharedSession {
    const { blocks, content, steps, privacy, denied, router, factsOf, stallTimeoutMs, cache } = this.#options
    this.#leases += 1
    const sources = (signal: AbortSignal, facts: ContentFacts): PeerSources =>
      this.sources(plan.providersOf, signal, facts)
    const session = FetchSession.open(
      {
        plan,
        blocks,
        content,
        steps,
        privacy,
        denied,
        sources,
        router,
        factsOf,
        stallTimeoutMs,
        onStored: cache?.onStored,
      },
      `fetch:${this.#leases}`,
    )
    const shared: SharedSession = { session, users: 0 }
    session.then(
      (opened) => {
        shared.opened = opened
      },
      () => {},
    )
    return shared
  }
}

interface JoinedSession {
  session: FetchSession
  leave: () => Promise<void>
}

/** Reads what is held, and gets what is not. Must be closed. */
export class FetchingReader implements BlockReader {
  readonly #plan: FetchPlan
  readonly #offline: boolean
  readonly #options: FetcherOptions
  readonly #join: (plan: FetchPlan) => Promise<JoinedSession>
  #joined: Promise<JoinedSession> | undefined
  #session: FetchSession | undefined
  #isClosed = false
  #isHot: boolean | undefined

  constructor(
    plan: FetchPlan,
    offline: boolean,
    options: FetcherOptions,
    join: (plan: FetchPlan) => Promise<JoinedSession>,
  ) {
    this.#plan = plan
    this.#offline = offline
    this.#options = options
    this.#join = join
  }

  async get(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted()
    const { blocks, cache, denied } = this.#options
    assertMayRead(cid, denied)
    this.#isHot ??= cache?.isHot(this.#plan.dag) ?? true
    const held = await blocks.get(cid, { signal, remember: this.#isHot })
    if (held !== undefined) return held
    if (this.#offline) throw blockNotFound(cid, [{ step: 'local', answer: 'not held, and offline' }])
    if (this.#isClosed) throw cancelled()
    this.#joined ??= this.#join(this.#plan)
    const { session } = await this.#joined
    return this.#need(session, cid, signal)
  }

  /** What the reader's own fetch has got over the network so far. */
  get arrived(): Pick<FetchStatistics, 'blocks' | 'bytes' | 'sources'> {
    return this.#session?.statistics ?? { blocks: 0, bytes: 0, sources: {} }
  }

  async close(): Promise<void> {
    const hasRead = this.#isHot !== undefined && !this.#isClosed
    this.#isClosed = true
    const joined = await this.#joined?.catch(() => undefined)
    await joined?.leave()
    // What has come is stored by now, which is when the cache can see that it is too much.
    if (hasRead) this.#tellCache()
  }

  /** One block is looked at before whatever it leads to is read: that alone is no reading. */
  #tellCache(): void {
    const { cache } = this.#options
    const { scope, path } = this.#plan
    const reading = readingOf(this.#plan, this.arrived)
    if (scope !== 'block') cache?.onReading(reading)
    else if (path === undefined && reading.fetchedBytes > 0) cache?.onFetched(reading)
  }

  /**
   * From the reader's own session, as long as it goes on. A session that is complete may still be asked for a block that
   * lies beyond its plan (the entries of a directory); such a block is fetched by itself.
   */
  async #need(session: FetchSession, cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    this.#session = session
    try {
      return await session.need(cid, signal)
    } catch (error) {
      if (session.state !== 'complete' || !isUnavailable(error) || signal.aborted) throw error
    }
    const { session: own, leave } = await this.#join({
      dag: cid,
      providersOf: this.#plan.providersOf,
      scope: 'block',
    })
    try {
      return await own.need(cid, signal)
    } finally {
      await leave()
    }
  }
}

/** What a reading was of, and who brought most of it. */
function readingOf(
  { dag }: FetchPlan,
  { bytes, sources }: Pick<FetchStatistics, 'bytes' | 'sources'>,
): Reading {
  const [most] = Object.entries(sources).toSorted(([, a], [, b]) => b.bytes - a.bytes)
  return {
    cid: dag,
    sizeBytes: null,
    fetchedBytes: bytes,
    source: most === undefined || most[1].bytes === 0 ? undefined : most[0],
  }
}
