/**
 * Public content: import, discovery, reading, and the jobs around them.
 *
 * @example
 * const content = createContentService({ config, home, storage, jobs, libp2p, trust, content: libp2p.services.content, log })
 * await content.start()
 * for await (const bytes of content.cat(address, { signal })) …
 */
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Libp2p } from '@libp2p/interface'
import { CID } from 'multiformats/cid'
import type { Content } from '../../protocols/content/types.ts'
import type { Jobs } from '../jobs/types.ts'
import type { OpenStorage } from '../storage/open.ts'
import type { StateDatabase } from '../storage/state/types.ts'
import type { Logger } from '../telemetry/types.ts'
import type { ContentPolicy, Policy, Scores } from '../trust/contract.ts'
import type { Config } from '../../config/index.ts'
import { DiscoverySteps } from './flow/steps.ts'
import type { Step } from './flow/types.ts'
import { privateJobs } from './private/jobs.ts'
import type { PrivateContent } from './private/private-content.ts'
import type { MarkChange } from './private/types.ts'
import type { OwnCapabilities } from './capabilities/index.ts'
import { Fetcher } from './fetch/fetcher.ts'
import { assertMayRead } from './denied.ts'
import { addJob } from './import/add-job.ts'
import { carImportJob } from './import/car-job.ts'
import type { Announcements } from './announce/index.ts'
import { described } from './announce/describe.ts'
import { acquireJob } from './jobs/acquire.ts'
import { cacheConfig, fetchAhead } from './cache/ahead.ts'
import { type Cache, type CacheStatistics, createCache } from './cache/index.ts'
import { getJob, pinJob } from './jobs/get.ts'
import { healer } from './jobs/heal.ts'
import { gcJob, scrubJob } from './jobs/maintenance.ts'
import type { RunningPolicies } from './policy/index.ts'
import { createProvides, type ProvideConfig, type ProvideStatistics } from './provide/index.ts'
import type { NameResolver } from './names/types.ts'
import { factsOf, SourceGuide, type SourceRouter } from './router/index.ts'
import { contentDenied } from './errors.ts'
import { AddressedContent } from './service.ts'
import type { ContentService } from './types.ts'

export interface ContentServiceOptions {
  config: {
    readonly content: Pick<Config['content'], 'steps'> &
      Partial<Config['content']> & { readonly provide: ConfiguredProvides }
  }
  /** The data folder; jobs keep what they need meanwhile in `jobs/` below it. */
  home: string
  storage: Pick<OpenStorage, 'blocks' | 'pins' | 'maintenance' | 'columns'>
  state: StateDatabase
  jobs: Jobs
  libp2p: Libp2p
  trust: Policy & Scores
  content: Content
  log: Logger
  /** What is private here; without it nothing is. */
  privacy?: PrivateContent | undefined
  /** What is neither read nor told of, whoever asks; by default nothing is. */
  denied?: ContentPolicy | undefined
  /** The steps of the discovery flow after the peers, those that are switched on. */
  steps?: readonly Step[]
  /** From whom content is rather taken, and what peers have told of themselves. */
  router: SourceRouter
  capabilities: OwnCapabilities
  /** Whether the DHT knows anybody to ask; by default, whether anybody is connected. */
  hasRoutes?: () => boolean
  /** Told of what was added and pinned. */
  announcements?: Pick<Announcements, 'isPublishing' | 'tell'>
  /** Told of what is read, pinned and acquired. */
  policies?: Pick<RunningPolicies, 'onRead' | 'onPinsChanged' | 'onAcquired' | 'onGivenUp'>
  /** Where addresses that begin with a name lead; without it they are refused. */
  names?: NameResolver
}

/** `content.provide` of the configuration. */
type ConfiguredProvides = Omit<ProvideConfig, 'ratePerSecond'> & { readonly rate: number }

export interface RunningContentService extends ContentService {
  provideStatistics(): ProvideStatistics
  /** Undefined where content is not cached by any strategy. */
  cacheStatistics(): CacheStatistics | undefined
  /** Call before `jobs.start()`. */
  start(): Promise<void>
  /** Ends fetches under way; call after `jobs.stop()`. */
  stop(): Promise<void>
}

const JOURNAL_SUFFIX = '.entries'

/** Registers the job kinds `add`, `car-import`, `get`, `pin`, `acquire`, `gc` and `scrub` with `jobs`. */
export function createContentService(options: ContentServiceOptions): RunningContentService {
  const { config, home, storage, jobs, libp2p, trust, content, router, capabilities, names } = options
  const log = options.log.child({ part: 'content' })
  const { privacy } = options
  const jobsFolder = join(home, 'jobs')
  const steps = new DiscoverySteps({ steps: options.steps ?? [], privacy, router })
  const { denied } = options
  const isPrivate = (cid: CID): boolean => privacy?.isPrivate(cid) === true
  const isDenied = (cid: CID): boolean => denied?.decideContent('tell', { cid }).allowed === false

  const hasRoutes = options.hasRoutes ?? (() => libp2p.getPeers().length > 0)
  const fetcher: Fetcher = new Fetcher({
    blocks: storage.blocks,
    content,
    libp2p,
    trust,
    router,
    isEnabled: config.content.steps.peers,
    hasRoutes,
    isPrivate,
    steps,
    privacy,
    denied,
    factsOf: (root) => factsOf(storage, root),
    stallTimeoutMs: config.content.deadlines?.peersMs,
    cache: {
      onReading: (reading) => cache?.onReading(reading),
      onFetched: (reading) => cache?.onFetched(reading),
      onStored: (bytes) => cache?.onStored(bytes),
      isHot: (root) => cache?.isHot(root) ?? true,
    },
  })
  const cache: Cache | undefined =
    config.content.cache === undefined
      ? undefined
      : createCache({
          config: cacheConfig(config.content.cache),
          state: options.state,
          storage,
          trust,
          fetch: (cid, ahead) => fetchAhead(fetcher, cid, ahead),
          log,
        })
  const { rate, ...provide } = config.content.provide
  const provides = createProvides({
    config: { ...provide, ratePerSecond: rate },
    state: options.state,
    libp2p,
    storage,
    hasRoutes,
    isPrivate,
    isDenied,
    log,
  })
  const { announcements, policies } = options
  const onAdded = (text: string): void => {
    const cid = CID.parse(text)
    policies?.onPinsChanged()
    if (isPrivate(cid) || isDenied(cid)) return
    provides.add(cid)
    if (announcements?.isPublishing === true) void tell(cid)
  }
  const tell = async (cid: CID): Promise<void> => {
    try {
      announcements?.tell(await described(cid, service, storage))
    } catch (error) {
      log.debug({ cid: cid.toString(), error: String(error) }, 'what was added could not be announced')
    }
  }
  const onMarkChange = (change: MarkChange): void => {
    if (change.made === 'private') {
      provides.hide(change.cids, change)
      capabilities.marksChanged(change.cids)
      return
    }
    provides.reconsider()
    capabilities.marksChanged()
    policies?.onPinsChanged()
  }
  let unlisten: ((() => void) | undefined)[] = []
  const onRead = (cid: CID, sizeBytes: number): void => policies?.onRead(cid, sizeBytes)
  const getting = { storage, fetcher, privacy, names, denied }

  jobs.register(addJob({ storage, jobsFolder, privateContent: privacy, onAdded }))
  jobs.register(carImportJob({ storage, privateContent: privacy, onAdded }))
  jobs.register(getJob({ ...getting, onRead }))
  jobs.register(pinJob({ ...getting, onPinned: onAdded }))
  jobs.register(
    acquireJob({
      ...getting,
      onAcquired: (params) => policies?.onAcquired(params),
      onGivenUp: (params) => policies?.onGivenUp(params),
    }),
  )
  jobs.register(gcJob(storage.maintenance))
  jobs.register(scrubJob(storage, healer({ content, fetcher, steps, denied })))
  for (const job of privacy === undefined ? [] : privateJobs(privacy)) jobs.register(job)

  const service = new AddressedContent({ fetcher, names, privacy, onRead, denied })
  const guide = new SourceGuide({
    router,
    capabilities,
    isPrivate,
    content,
    libp2p,
    storage,
    outer: steps,
  })
  return {
    resolve: (address, readOptions) => service.resolve(address, readOptions),
    ls: (address, readOptions) => service.ls(address, readOptions),
    cat: (address, readOptions) => service.cat(address, readOptions),
    tar: (address, readOptions) => service.tar(address, readOptions),
    car: (address, readOptions) => service.car(address, readOptions),
    blocks: (plan, readOptions) => service.blocks(plan, readOptions),
    async *providers(cid, readOptions) {
      assertMayRead(cid, denied)
      yield* guide.providers(cid, readOptions)
    },
    async route(cid, routeOptions) {
      assertMayRead(cid, denied)
      return guide.route(cid, routeOptions)
    },
    async provide(cid, provideOptions) {
      if (isDenied(cid)) throw contentDenied(cid.toString())
      await provides.provide(cid, provideOptions)
    },
    provideStatistics: () => provides.statistics(),
    cacheStatistics: () => cache?.statistics(),
    markPrivate: (address) => service.markPrivate(address),
    privateRoots: (page) => service.privateRoots(page),
    steps: () => steps.figures(),

    async start() {
      await mkdir(jobsFolder, { recursive: true, mode: 0o700 })
      // A crash between the end of a job and the end of its file leaves the file.
      for (const name of await readdir(jobsFolder)) {
        if (!name.endsWith(JOURNAL_SUFFIX)) continue
        const job = jobs.get(name.slice(0, -JOURNAL_SUFFIX.length))
        if (job === undefined || job.endedAtMs !== null) await rm(join(jobsFolder, name), { force: true })
      }
      provides.start()
      unlisten = [
        privacy?.onChange(onMarkChange),
        denied?.onContentChange(() => {
          provides.reconsider()
          policies?.onPinsChanged()
        }),
      ]
      cache?.start()
    },

    async stop() {
      for (const end of unlisten) end?.()
      await provides.stop()
      await cache?.stop()
      await fetcher.close()
    },
  }
}

export type * from './types.ts'
