import { join } from 'node:path'
import { createLibp2p } from 'libp2p'
import { chunk as chunkProtocol } from '../../protocols/chunk/index.ts'
import { keep as keepProtocol } from '../../protocols/keep/index.ts'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { type Api, createApi } from '../api/index.ts'
import { catalogNamespace } from '../catalog/index.ts'
import { createContentHelia } from '../content/helia/index.ts'
import { createDiscovery } from '../content/flow/index.ts'
import { createContentService } from '../content/index.ts'
import { announcementsTopic } from '../content/announce/index.ts'
import { ipnsNamespace } from '../content/names/index.ts'
import { createJobs } from '../jobs/index.ts'
import {
  boundedStop,
  createBandwidth,
  createNetwork,
  createPeerRecords,
  createSeeker,
  hasPublicRoutes,
  knownRoutes,
  libp2pOptions,
  startError,
  withPublicRouting,
} from '../network/index.ts'
import { openStorage } from '../storage/open.ts'
import { acquireHomeLock, backupHome, openState } from '../storage/state/index.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import { createVault, deletionsTopic, replaceOwnerSecret } from '../vault/index.ts'
import { hiddenFrom, startTrust } from './believing.ts'
import { createNodeCatalog, startCatalog } from './catalog.ts'
import { runDoctor } from './doctor.ts'
import { nodeGateway } from './gateway.ts'
import { nodeGossip } from './gossip.ts'
import { healthOf, type NodeHealth, type NodeState } from './health.ts'
import { Lifecycle } from './lifecycle.ts'
import { startNames } from './names.ts'
import { startPinning } from './pinning.ts'
import { replaced } from './replacements.ts'
import { reportsOf } from './reports.ts'
import { createKeeping } from './keeping.ts'
import { createRecommending } from './recommending.ts'
import { nodeSecrets } from './secrets.ts'
import { observeServices } from './service-metrics.ts'
import { nodeSources } from './sources.ts'
import { nodeSwarm } from './swarm.ts'
import type { Node, NodeOptions, NodeServices, ReadyLine } from './types.ts'
import { version } from '../../config/version.ts'

export type { NodeHealth, NodeState } from './health.ts'
export type * from './types.ts'

/** How long libp2p may take to close its connections; it can hang. */
const LIBP2P_STOP_TIMEOUT_MS = 3_000
/** Running jobs get this long to stop at a point from where they go on. */
const JOBS_STOP_TIMEOUT_MS = 4_000
/** Writes that are under way are finished: this must not be cut short lightly. */
const STORAGE_STOP_TIMEOUT_MS = 5_000

/** One node. Nothing of it is shared with another one of the same process. */
export function createNode(options: NodeOptions): Node {
  const lifecycle = new Lifecycle(options.log.child({ part: 'node' }))
  let state: NodeState = 'new'
  let starting: Promise<ReadyLine> | undefined
  let stopping: Promise<void> | undefined
  let running: (NodeServices & { line: ReadyLine; health: () => NodeHealth }) | undefined

  const start = async (signal: AbortSignal): Promise<ReadyLine> => {
    state = 'starting'
    try {
      running = await startServices(options, lifecycle, signal, () => state)
      signal.throwIfAborted()
      state = 'ready'
      return running.line
    } catch (error) {
      state = 'stopping'
      await lifecycle.stop()
      state = 'stopped'
      throw signal.aborted
        ? new P2pnodeError('ERR_CANCELLED', 'cancelled', 'the start was called off', { cause: error })
        : error
    }
  }
  const stop = async (): Promise<void> => {
    if (state === 'new') {
      state = 'stopped'
      return
    }
    await starting?.catch(() => {})
    if (state === 'stopped') return
    state = 'stopping'
    await lifecycle.stop()
    state = 'stopped'
  }
  const whenReady = (): NodeServices & { line: ReadyLine } => {
    if (running === undefined || state !== 'ready')
      throw new P2pnodeError('ERR_NODE_NOT_READY', 'unavailable', `the node is ${state}`)
    return running
  }

  return {
    get state() {
      return state
    },
    start(signal = new AbortController().signal) {
      if (state === 'stopping' || state === 'stopped') {
        return Promise.reject(
          new P2pnodeError(
            'ERR_NODE_STOPPED',
            'conflict',
            'a node that was stopped is not started again; create another one',
          ),
        )
      }
      starting ??= start(signal)
      return starting
    },
    stop: () => (stopping ??= stop()),
    health: () =>
      running?.health() ?? {
        state: state === 'new' || state === 'starting' ? 'starting' : 'stopping',
        problems: [],
      },
    ready: () => whenReady().line,
    services: () => whenReady(),
  }
}

/** The whole node, top down: what is built first is stopped last. */
async function startServices(
  options: NodeOptions,
  lifecycle: Lifecycle,
  signal: AbortSignal,
  nodeState: () => NodeState,
): Promise<NodeServices & { line: ReadyLine; health: () => NodeHealth }> {
  const { config, home, log, replace } = options
  const startedAtMs = Date.now()

  // The home: nobody else may use it, and everything else lies in it.
  const lock = acquireHomeLock(home)
  lifecycle.started('lock', () => lock.release())

  const metrics = createMetrics()
  lifecycle.started('metrics', () => metrics.close())

  const { encrypt } = config.identity
  const secrets = await nodeSecrets(lock.home, encrypt, options.passphrase)
  const { identity, ownerSecret, ownerKeyFile, askPassphrase } = secrets
  signal.throwIfAborted()

  // Storage.
  const stateDb = await openState({ path: join(lock.home, 'state.db'), log })
  lifecycle.started('state', () => stateDb.close(), STORAGE_STOP_TIMEOUT_MS)
  let storageFailure: unknown
  const storage = await openStorage({
    home: lock.home,
    config: config.storage,
    state: stateDb,
    log,
    onFailure: (error) => {
      storageFailure = error
    },
    writerThread: options.writerThread,
  })
  lifecycle.started('storage', () => storage.close(), STORAGE_STOP_TIMEOUT_MS)

  const jobs = createJobs({
    state: stateDb,
    log,
    sourceTimeoutMs: config.jobs.sourceTimeoutMs,
    retentionMs: config.jobs.retentionMs,
  })
  signal.throwIfAborted()

  // Whom to believe, and who is there.
  const networkName = config.network.name
  const swarm = await nodeSwarm({ config, home: lock.home, identity, askPassphrase, state: stateDb, log })
  const ownTrust = await startTrust({ config, home: lock.home, state: stateDb, swarm, log })
  const trust = replaced(ownTrust, replace?.trust)
  lifecycle.started('trust', () => trust.stop())

  // Until nobody can connect any more, whoever looks after the node hears that it stops.
  const listening: { api?: Api } = {}
  lifecycle.started('api listener', () => listening.api?.close())

  const base = { config, state: stateDb, identity, trust, log }
  const catalog = createNodeCatalog({ ...base, isPrivate: (cid) => isPrivate(cid) })
  const topics = [deletionsTopic(networkName), announcementsTopic(), swarm.rules, catalog.topic]
  const talk = nodeGossip({ ...base, topics, bandwidth: () => bandwidth })
  const { gossip, convergence } = talk
  const recommending = createRecommending({ ...base, gossip })
  const vault = createVault({
    ...base,
    home: lock.home,
    ownerSecret,
    storeOwnerSecret: (secret) => replaceOwnerSecret(secret, ownerKeyFile),
    columns: storage.columns,
    jobs,
    gossip,
  })
  const { retentionMs } = config.network.peers
  const peers = createPeerRecords({ state: stateDb, log, retentionMs, isNeeded: vault.keepsOurs })
  const bandwidth = createBandwidth({ limits: config.limits.bandwidth, onMoved: peers.moved })
  lifecycle.started('bandwidth', () => bandwidth.stop())
  const discovery = createDiscovery({ config, storage, trust, bandwidth })
  const { privacy } = discovery
  const { isPrivate } = hiddenFrom(privacy, trust)
  const keeping = createKeeping({ ...base, storage, jobs, gossip, isPrivate })
  const sources = nodeSources({
    ...base,
    did: identity.did,
    storage,
    bandwidth,
    privateMark: { isPrivate },
    protocol: discovery.protocol,
    replace,
    libp2p: () => libp2p,
  })
  lifecycle.started('sources', () => sources.stop())
  const holder = replaced(vault.holder, replace?.holder)
  const libp2p = await createLibp2p({
    ...libp2pOptions({
      ...swarm.libp2pInit,
      config: swarm.config,
      identity,
      datastore: storage.datastore,
      trust,
      log,
      metrics,
      version,
      peers,
      gossip: gossip.rules,
      dhtNamespaces: [ipnsNamespace, catalogNamespace(networkName)],
      services: {
        content: sources.protocol,
        chunk: chunkProtocol({ networkName, holder, trust, bandwidth, log }),
        keep: keepProtocol({ networkName, holder: keeping.policies.holder, trust, log }),
        trust: recommending.protocol,
        ...talk.services,
      },
    }),
    start: false,
  })
  const publicLibp2p = withPublicRouting(libp2p)
  const helia = createContentHelia({
    libp2p: publicLibp2p,
    storage,
    trust,
    content: libp2p.services.content,
    privacy,
    denied: trust,
    bandwidth,
    log,
  })
  lifecycle.started(
    'libp2p',
    async () => {
      if (!(await boundedStop(libp2p, LIBP2P_STOP_TIMEOUT_MS))) log.warn('libp2p did not stop in time')
    },
    LIBP2P_STOP_TIMEOUT_MS + 500,
  )
  // Before the first connection: it has to hear of each.
  const expectsPeers = swarm.config.network.bootstrap.length > 0
  const seeker = createSeeker({ libp2p, log, found: () => libp2p.services.chunk.peers(), expectsPeers })
  lifecycle.started('seeker', () => seeker.stop())
  try {
    await helia.start()
  } catch (error) {
    throw startError(error)
  }
  lifecycle.started('helia', () => helia.stop())
  sources.begin()
  talk.start(libp2p.services)
  lifecycle.started('gossip', () => talk.stop())
  lifecycle.started('recommendations', recommending.start(libp2p))
  const network = createNetwork({ libp2p, identity, trust, history: peers.history, log })
  lifecycle.started('network', () => network.close())
  await swarm.start({ libp2p, trust, gossip, convergence })
  lifecycle.started('swarm', () => swarm.stop())
  signal.throwIfAborted()

  // Services, then the jobs that they handle: what was interrupted goes on now.
  const names = startNames({ ...base, libp2p, privacy })
  lifecycle.started('names', () => names.stop())
  const content = createContentService({
    config,
    home: lock.home,
    storage,
    state: stateDb,
    jobs,
    libp2p: publicLibp2p,
    trust,
    content: libp2p.services.content,
    privacy,
    denied: trust,
    steps: discovery.begin({
      libp2p: publicLibp2p,
      content: libp2p.services.content,
      ipfs: helia.fetchBlock,
    }),
    router: sources.router,
    capabilities: sources.capabilities,
    hasRoutes: () => hasPublicRoutes(libp2p),
    names,
    ...keeping,
    log,
  })
  await content.start()
  lifecycle.started('content', () => content.stop())
  keeping.announcements.start()
  lifecycle.started('announcements', () => keeping.announcements.stop())
  const { services } = libp2p
  keeping.policies.start({ libp2p, keep: services.keep, content: services.content })
  lifecycle.started('policies', () => keeping.policies.stop())
  lifecycle.started(
    'catalog',
    startCatalog(catalog, { libp2p, gossip, convergence, content, storage, trust }),
  )
  lifecycle.started('vault', () => vault.stop())
  const privateFiles = await vault.start({
    libp2p,
    chunk: libp2p.services.chunk,
    hasRoutes: () => knownRoutes(libp2p.services.dht) > 0,
    seek: (count, seekSignal) => seeker.seek(count, seekSignal),
  })
  await jobs.start()
  lifecycle.started('jobs', () => jobs.stop(), JOBS_STOP_TIMEOUT_MS)
  const pinning = startPinning({ state: stateDb, jobs, storage, network, privacy: { isPrivate }, log })
  lifecycle.started('pinning', () => pinning.stop())

  // The API comes last and takes no work from the first moment of a stop: who asks gets an answer from a node that is whole.
  const health = (): NodeHealth => healthOf({ storage, storageFailure, state: nodeState() })
  observeServices({
    metrics,
    storage,
    jobs,
    content: libp2p.services.content,
    bitswap: helia.bitswap,
    discovery: content,
    trust,
    ...talk,
    vault,
    bandwidth,
    provides: content.provideStatistics,
    catalog,
    swarm,
    recommendations: recommending.recommendations,
    cache: content.cacheStatistics,
    ...keeping,
    isServing: () => ['ready', 'degraded'].includes(health().state),
  })
  const api: Api = await createApi({
    listen: { host: config.api.host, port: config.api.port },
    home: lock.home,
    version,
    log,
    metrics,
    network,
    trust,
    jobs,
    content,
    names,
    catalog,
    ...keeping,
    ...talk.api,
    swarm,
    recommendations: recommending.recommendations,
    pinning,
    vault: privateFiles,
    publicRead: config.vault.publicRead,
    contentStatistics: () => libp2p.services.content.statistics(),
    provideStatistics: () => content.provideStatistics(),
    storage,
    state: stateDb,
    ...reportsOf({
      config,
      sources: options.sources,
      identity,
      home: lock.home,
      network,
      libp2p,
      startedAtMs,
    }),
    health,
    doctor: (doctorSignal) =>
      runDoctor({
        home: lock.home,
        config,
        storage,
        network,
        swarm,
        hooks: talk.hooks,
        vault: privateFiles,
        provides: content.provideStatistics(),
        eventLoopDelayP99Ms: () => metrics.eventLoopDelayP99Ms(),
        signal: doctorSignal,
      }),
    stop: () => options.onStopRequest?.(),
    backup: async (out, backupSignal) => {
      await backupHome({
        home: lock.home,
        state: stateDb,
        storage,
        out,
        signal: backupSignal,
        includeBlocks: true,
      })
    },
  })
  listening.api = api
  lifecycle.started('api', () => api.drain(), JOBS_STOP_TIMEOUT_MS)
  const gateway = await nodeGateway({
    config,
    content,
    names,
    libp2p,
    storage,
    privateMark: privacy,
    trust,
    bandwidth,
    metrics,
    log,
  })
  lifecycle.started('gateway', () => gateway?.close(), JOBS_STOP_TIMEOUT_MS)
  const gatewayUrl = (await gateway?.listen())?.url ?? null
  const { url } = await api.listen()

  return {
    storage,
    jobs,
    content,
    names,
    catalog,
    vault: privateFiles,
    network,
    trust,
    swarm,
    health,
    line: {
      peerId: network.peerId.toString(),
      did: identity.did,
      multiaddrs: network.addresses(),
      api: url,
      gateway: gatewayUrl,
      role: config.role,
      home: lock.home,
      pid: process.pid,
    },
  }
}
