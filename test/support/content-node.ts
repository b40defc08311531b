import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../config/index.ts'
import type { Config } from '../../config/index.ts'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { createLibp2p } from 'libp2p'
import type { GossipSub } from '@libp2p/gossipsub'
import type { CID } from 'multiformats/cid'
import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { Content } from '../../protocols/content/index.ts'
import { content as contentProtocol } from '../../protocols/content/index.ts'
import type { Bandwidth } from '../../protocols/shared/bandwidth.ts'
import { keep as keepProtocol } from '../../protocols/keep/index.ts'
import type { Keep } from '../../protocols/keep/types.ts'
import {
  type Announcements,
  announcementsTopic,
  createAnnouncements,
} from '../../src/content/announce/index.ts'
import { createPolicies, type PoliciesConfig, type RunningPolicies } from '../../src/content/policy/index.ts'
import { createCapabilities, ipfsSide } from '../../src/content/capabilities/index.ts'
import { createContentHelia } from '../../src/content/helia/index.ts'
import type { ContentHelia } from '../../src/content/helia/index.ts'
import { createDiscovery } from '../../src/content/flow/index.ts'
import type { PrivateContent } from '../../src/content/private/private-content.ts'
import { createContentService } from '../../src/content/index.ts'
import type { RunningContentService } from '../../src/content/index.ts'
import { createSourceRouter, type SourceRouter } from '../../src/content/router/index.ts'
import type { AddParams, AddResult, CarImportParams } from '../../src/content/types.ts'
import { createGossip } from '../../src/gossip/index.ts'
import { createJobs } from '../../src/jobs/index.ts'
import type { JobRecord, Jobs } from '../../src/jobs/types.ts'
import { boundedStop, latencyOf, libp2pOptions } from '../../src/network/index.ts'
import type { OpenStorage } from '../../src/storage/open.ts'
import { openStorage } from '../../src/storage/open.ts'
import { openState } from '../../src/storage/state/index.ts'
import type { Policy } from '../../src/trust/contract.ts'
import type { TrustService } from '../../src/trust/index.ts'
import { createTrust } from '../../src/trust/index.ts'
import { didFromPeerId } from '../../src/identity/did.ts'
import { cutConnections } from './end-node.ts'
import { quiet } from './content.ts'
import { type NetworkChanges, testSettings } from './network.ts'

export interface ContentNode {
  home: string
  privateKey: PrivateKey
  storage: OpenStorage
  jobs: Jobs
  trust: TrustService
  libp2p: Libp2p<{ content: Content; keep: Keep }>
  announcements: Announcements
  policies: RunningPolicies
  helia: ContentHelia
  content: RunningContentService
  privacy: PrivateContent
  router: SourceRouter
  capabilities: ReturnType<typeof createCapabilities>
  address: string
  connect(other: ContentNode): Promise<void>
  /** Runs a job to its end; throws the failure where it did not end well. */
  run<Result>(kind: string, params: unknown): Promise<Result>
  /** Uploads in parts and gives the result of the job. */
  add(bytes: Uint8Array, params?: Partial<AddParams>): Promise<AddResult>
  importCar(bytes: Uint8Array, params: CarImportParams): Promise<unknown>
  /** Stops; the home stays for another start with `keepHome`. */
  stop(options?: { keepHome?: boolean }): Promise<void>
}

export const ADD: AddParams = {
  source: 'file',
  name: 'file',
  profile: 'unixfs-v1-2025',
  pin: 'test',
  preserveMode: true,
}
const UPLOAD_PART_BYTES = 1024 * 1024

const DEFAULT_CONFIG = (
  await loadConfig({ home: join(tmpdir(), 'p2pnode-no-such-home'), env: {}, flags: {} })
).config

const POLICIES: PoliciesConfig = {
  offerBytes: 2 ** 30,
  minScore: 0.5,
  termMs: 3_600_000,
  probeIntervalMs: 600_000,
  graceMs: 600_000,
  autoFetch: { isOn: false, budgetBytes: 2 ** 30, minScore: 0.5 },
}

/** Everything below the API as the daemon composes it, on loopback and in a folder of its own. */
export async function startContentNode(
  options: {
    home?: string
    /** Of a node that is started again. */
    privateKey?: PrivateKey
    ipfs?: boolean
    /** Other steps and bounds than those of a node that asks its peers alone. */
    discovery?: Partial<Omit<Config['content'], 'steps'>> & { steps?: Partial<Config['content']['steps']> }
    /** Thresholds hold, and this is the least score to be fetched for; newcomers have 0.5. */
    proxyThreshold?: number
    dht?: 'server' | 'client'
    network?: NetworkChanges
    /** Stands before the node's trust where Bitswap asks it. */
    bitswapPolicy?: Policy['decide']
    bandwidth?: Bandwidth
    /** Whether what is added is announced. */
    publish?: boolean
    policies?: Partial<PoliciesConfig>
    /** What stands for the score of each peer. */
    score?: (peer: string) => number
    isPrivate?: (cid: CID) => boolean
    quotaBytes?: number
    /** Peers are told at most so often of what has changed: at once by default. */
    tellEveryMs?: number
    cache?: Config['content']['cache']
  } = {},
): Promise<ContentNode> {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), 'p2pnode-content-')))
  const privateKey = options.privateKey ?? (await generateKeyPair('Ed25519'))
  const identity = { privateKey, peerId: peerIdFromPrivateKey(privateKey) }
  const state = await openState({ path: join(home, 'state.db'), log: quiet })
  const storage = await openStorage({
    home,
    config: {
      quotaBytes: options.quotaBytes ?? 2 ** 33,
      offerBytes: Math.min(2 ** 32, (options.quotaBytes ?? 2 ** 33) / 2),
      durability: 'relaxed',
      memoryBytes: 2 ** 23,
      scrubRateBytesPerSecond: 2 ** 30,
    },
    state,
    log: quiet,
  })
  const jobs = createJobs({ state, log: quiet, sourceTimeoutMs: 60_000, retentionMs: 3_600_000 })
  const { proxyThreshold } = options
  const model = createTrust({
    state,
    log: quiet,
    networkName: 'test',
    ...(proxyThreshold === undefined
      ? {}
      : { thresholds: { ...DEFAULT_CONFIG.trust.thresholds, proxy: proxyThreshold } }),
  })
  model.start()
  const trust = { ...model, score: options.score ?? model.score }
  const { steps: on, ...otherwise } = options.discovery ?? {}
  const contentConfig: Config['content'] = {
    ...DEFAULT_CONFIG.content,
    ...otherwise,
    steps: { peers: true, ipfs: options.ipfs ?? false, proxy: false, gateways: false, ...on },
    ...(options.cache === undefined ? {} : { cache: options.cache }),
  }
  const { bandwidth } = options
  const discovery = createDiscovery({ config: { content: contentConfig }, storage, trust, bandwidth })
  const privacy =
    options.isPrivate === undefined ? discovery.privacy : withMark(discovery.privacy, options.isPrivate)
  const capabilities = createCapabilities({
    pins: storage.pins,
    privateMark: privacy,
    did: didFromPeerId(identity.peerId) ?? '',
    own: () => ({
      role: 'worker',
      versions: { p2pnode: '0.0.0-test' },
      ipfs: ipfsSide(contentConfig.steps),
      gatewayUrl: null,
      addresses: libp2p.getMultiaddrs().map((address) => address.toString()),
      bandwidthBytesPerSecond: null,
      freeBytes: 2 ** 33,
    }),
    intervalMs: options.tellEveryMs ?? 0,
    times: { settleMs: 0, filterIntervalMs: 0 },
    trust,
    log: quiet,
  })
  const router = createSourceRouter({
    config: contentConfig.router,
    state,
    capabilities,
    trust,
    privateMark: privacy,
    latencyMs: (peer) => latencyOf(libp2p, peer),
    log: quiet,
  })
  const { isPrivate } = privacy
  const gossip = createGossip({ networkName: 'test', topics: [announcementsTopic()], trust, log: quiet })
  const announcements = createAnnouncements({
    config: { publish: options.publish ?? false, receive: true },
    gossip,
    isPrivate,
    log: quiet,
  })
  const policies = createPolicies({
    config: { ...POLICIES, ...options.policies },
    state,
    storage,
    jobs,
    trust,
    announcements,
    isPrivate,
    log: quiet,
  })
  const libp2p = (await createLibp2p({
    ...libp2pOptions({
      config: testSettings({ dht: options.dht ?? 'server', ...options.network }),
      identity,
      datastore: state.datastore,
      trust,
      log: quiet,
      version: '0.0.0-test',
      gossip: gossip.rules,
      services: {
        content: contentProtocol({
          networkName: 'test',
          blocks: capabilities.serving(storage.blocks),
          ...discovery.protocol,
          trust,
          capabilities: capabilities.init,
          log: quiet,
        }),
        keep: keepProtocol({ networkName: 'test', holder: policies.holder, trust, log: quiet }),
      },
    }),
    start: false,
  })) as unknown as Libp2p<{ content: Content; keep: Keep; pubsub: GossipSub }>
  const protocol = libp2p.services.content
  const policy = options.bitswapPolicy === undefined ? trust : { ...trust, decide: options.bitswapPolicy }
  const helia = createContentHelia({
    libp2p,
    storage,
    trust: policy,
    content: protocol,
    privacy,
    denied: trust,
    ...(options.bandwidth === undefined ? {} : { bandwidth: options.bandwidth }),
    log: quiet,
  })
  await helia.start()
  gossip.start(libp2p.services.pubsub)
  const content = createContentService({
    config: { content: contentConfig },
    home,
    storage,
    state,
    jobs,
    libp2p,
    trust,
    content: protocol,
    router,
    capabilities,
    log: quiet,
    privacy,
    denied: trust,
    steps: discovery.begin({ libp2p, content: protocol, ipfs: helia.fetchBlock }),
    announcements,
    policies,
  })
  capabilities.start(protocol)
  await content.start()
  announcements.start()
  policies.start({ libp2p, keep: libp2p.services.keep, content: protocol })
  await jobs.start()

  const ended = async (job: JobRecord): Promise<unknown> => {
    const record = await jobs.wait(job.id, AbortSignal.timeout(50_000))
    if (record.state === 'done') return record.result
    throw Object.assign(new Error(record.error?.message ?? record.state), record.error)
  }
  const upload = async (kind: string, params: unknown, bytes: Uint8Array): Promise<unknown> => {
    const job = await jobs.submit(kind, params, {
      upload: { fingerprint: crypto.randomUUID(), size: bytes.length },
    })
    const session = jobs.uploadOfJob(job.id)
    if (session === undefined) throw new Error('no upload session')
    const signal = AbortSignal.timeout(50_000)
    try {
      for (let at = 0; at < bytes.length; at += UPLOAD_PART_BYTES) {
        const part = bytes.subarray(at, at + UPLOAD_PART_BYTES)
        await jobs.append(session.id, at, only(part), signal)
      }
      await jobs.complete(session.id, bytes.length)
    } catch {
      // The job says why it takes no more.
    }
    return ended(job)
  }

  const node: ContentNode = {
    home,
    privateKey,
    storage,
    jobs,
    trust,
    libp2p,
    announcements,
    policies,
    helia,
    content,
    privacy,
    router,
    capabilities,
    address: libp2p.getMultiaddrs()[0]?.toString() ?? '',
    async connect(other) {
      const [address] = other.libp2p.getMultiaddrs()
      if (address === undefined) throw new Error('no address')
      await libp2p.dial(address, { signal: AbortSignal.timeout(10_000) })
      // Identify tells both sides what the other speaks.
      await until(() => knows(node, other) && knows(other, node))
    },
    run: async <Result>(kind: string, params: unknown) =>
      (await ended(await jobs.submit(kind, params))) as Result,
    add: async (bytes, params) => (await upload('add', { ...ADD, ...params }, bytes)) as AddResult,
    importCar: (bytes, params) => upload('car-import', params, bytes),
    async stop({ keepHome = false } = {}) {
      await jobs.stop()
      await policies.stop()
      // A test may have stopped libp2p: gossip lets go of it first.
      gossip.stop()
      announcements.stop()
      await content.stop()
      capabilities.stop()
      await helia.stop()
      cutConnections(libp2p)
      await boundedStop(libp2p, 3_000)
      router.stop()
      trust.stop()
      await storage.close()
      await state.close()
      if (!keepHome) await rm(home, { recursive: true, force: true })
    },
  }
  return node
}

/** The same, but that the test says what is private. */
function withMark<Privacy extends object>(privacy: Privacy, isPrivate: (cid: CID) => boolean): Privacy {
  return new Proxy(privacy, {
    get(target, key) {
      if (key === 'isPrivate') return isPrivate
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function knows(one: ContentNode, other: ContentNode): boolean {
  return one.libp2p.services.content.peers().some((peer) => peer.equals(other.libp2p.peerId))
}

/** Looks every few milliseconds until `check` holds. */
export async function until(check: () => boolean | Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs
  while (!(await check())) {
    if (performance.now() > deadlineMs) throw new Error('waited in vain')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

async function* only(part: Uint8Array): AsyncGenerator<Uint8Array> {
  yield part
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}
