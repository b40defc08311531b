import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey, Libp2p } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { createLibp2p } from 'libp2p'
import { chunk as chunkProtocol } from '../../protocols/chunk/index.ts'
import {
  ed25519Signer,
  type Signer,
  signDeletion,
  signIndex,
  signLease,
  slabIdOf,
} from '../../protocols/chunk/format/index.ts'
import type { Chunk, ChunkHolder, SlabId, SlabIndex } from '../../protocols/chunk/types.ts'
import { createGossip, type Gossip } from '../../src/gossip/index.ts'
import { createJobs } from '../../src/jobs/index.ts'
import type { JobRecord, Jobs } from '../../src/jobs/types.ts'
import { boundedStop, libp2pOptions } from '../../src/network/index.ts'
import { openStorage } from '../../src/storage/open.ts'
import type { Columns } from '../../src/storage/columns/types.ts'
import { openState } from '../../src/storage/state/index.ts'
import { createTrust, type TrustService } from '../../src/trust/index.ts'
import { createSegmentCodec, segmentKey } from '../../src/vault/codec/index.ts'
import { createHolder, deletionsTopic, type Holder, type HolderTools } from '../../src/vault/holder/index.ts'
import { createLocateAnswerer, createLocator } from '../../src/vault/locate/index.ts'
import { createPlacer } from '../../src/vault/place/index.ts'
import type { WorkerPool } from '../../src/workers/index.ts'
import { cutConnections } from './end-node.ts'
import { eventually, quietLogger, testSettings } from './network.ts'

export const NETWORK = 'test'
/** The machine may be busy with other tests. */
const WAIT_MS = 60_000

export interface HolderOptions {
  pool: WorkerPool
  home?: string
  privateKey?: Ed25519PrivateKey
  intervalMs?: number
  graceMs?: number
  rateBytesPerSecond?: number
  /** 0: lends nothing, as an owner's node. */
  offerBytes?: number
  log?: ReturnType<typeof quietLogger>
  /** Stands before what the node answers: a liar. */
  wrap?: (answers: ChunkHolder) => ChunkHolder
}

export interface HolderNode {
  options: HolderOptions
  home: string
  privateKey: Ed25519PrivateKey
  columns: Columns
  jobs: Jobs
  trust: TrustService
  libp2p: Libp2p
  chunk: Chunk
  gossip: Gossip
  holder: Holder
  tools: HolderTools
  log: ReturnType<typeof quietLogger>
  name: string
  /** Runs a job to its end; throws the failure where it did not end well. */
  run<Result>(kind: string, params: unknown): Promise<Result>
  /** Kinds of evidence against a peer. */
  evidence(peer: string): string[]
  stop(options?: { keepHome?: boolean }): Promise<void>
}

/** A holder as the daemon composes it, on loopback and in a folder of its own. */
export async function startHolder(options: HolderOptions): Promise<HolderNode> {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), 'p2pnode-holder-')))
  const privateKey = options.privateKey ?? (await generateKeyPair('Ed25519'))
  const peerId = peerIdFromPrivateKey(privateKey)
  const name = peerId.toString()
  const log = options.log ?? quietLogger()
  const offerBytes = options.offerBytes ?? 2 ** 31
  const state = await openState({ path: join(home, 'state.db'), log })
  const storage = await openStorage({
    home,
    config: {
      quotaBytes: 2 ** 32,
      offerBytes,
      durability: 'relaxed',
      memoryBytes: 2 ** 20,
      scrubRateBytesPerSecond: 2 ** 30,
    },
    state,
    log,
  })
  const { columns } = storage
  const jobs = createJobs({ state, log, sourceTimeoutMs: 60_000, retentionMs: 3_600_000 })
  const trust = createTrust({ state, log, networkName: NETWORK })
  trust.start()
  const gossip = createGossip({ networkName: NETWORK, topics: [deletionsTopic(NETWORK)], trust, log })
  const holder = createHolder({
    config: {
      network: { name: NETWORK },
      storage: { offerBytes },
      vault: {
        audit: { intervalMs: options.intervalMs ?? 500 },
        repair: {
          graceMs: options.graceMs ?? 500,
          rateBytesPerSecond: options.rateBytesPerSecond ?? Number.POSITIVE_INFINITY,
        },
      },
    },
    identity: { privateKey, peerId },
    state,
    columns,
    trust,
    gossip,
    log,
  })
  const answers = options.wrap?.(holder.answers) ?? holder.answers
  const libp2p = (await createLibp2p(
    libp2pOptions({
      config: testSettings({ dht: 'client' }),
      identity: { privateKey, peerId },
      datastore: state.datastore,
      trust,
      log,
      version: '0.0.0-test',
      gossip: gossip.rules,
      services: { chunk: chunkProtocol({ networkName: NETWORK, holder: answers, trust, log }) },
    }),
  )) as unknown as Libp2p<{ chunk: Chunk; pubsub: Parameters<typeof gossip.start>[0] }>
  gossip.start(libp2p.services.pubsub)
  const { chunk } = libp2p.services
  const locator = createLocator({
    chunk,
    libp2p,
    trust,
    hasRoutes: () => false,
    listGroups: (after, limit) => columns.groups({ ...(after === undefined ? {} : { after }), limit }),
    datastore: state.datastore,
    log,
  })
  const tools = holder.start({
    chunk,
    locator,
    placer: createPlacer({ chunk, trust, self: name, addressOf: () => '127.0.0.1' }),
    codec: createSegmentCodec(options.pool),
    locate: createLocateAnswerer({
      chunk: () => chunk,
      self: { peer: name, addresses: () => libp2p.getMultiaddrs().map((address) => address.toString()) },
      have: (slabs) => columns.have(slabs),
      hinted: (slab) => holder.hinted(slab),
      addressesOf: async () => [],
      trust,
    }),
  })
  tools.registerJobs(jobs, async () => ({ abandonedSlabs: 0, bytes: 0 }))
  locator.start()
  await jobs.start()

  return {
    options: { ...options, home, privateKey },
    home,
    privateKey,
    columns,
    jobs,
    trust,
    libp2p,
    chunk,
    gossip,
    holder,
    tools,
    log,
    name,
    async run<Result>(kind: string, params: unknown) {
      const job: JobRecord = await jobs.submit(kind, params)
      const record = await jobs.wait(job.id, AbortSignal.timeout(WAIT_MS))
      if (record.state === 'done') return record.result as Result
      throw Object.assign(new Error(record.error?.message ?? record.state), record.error)
    },
    evidence: (peer) => trust.evidence({ peer }).evidence.map(({ kind }) => kind),
    async stop({ keepHome = false } = {}) {
      await jobs.stop()
      await holder.stop()
      await locator.stop()
      gossip.stop()
      cutConnections(libp2p)
      await boundedStop(libp2p, 3_000)
      trust.stop()
      await storage.close()
      await state.close()
      if (!keepHome) await rm(home, { recursive: true, force: true })
    },
  }
}

/** Connects all with all, and waits until each knows that the others speak the protocol. */
export async function connectAll(nodes: readonly HolderNode[]): Promise<void> {
  for (const [at, node] of nodes.entries()) {
    await Promise.all(nodes.slice(at + 1).map((other) => node.libp2p.dial(other.libp2p.getMultiaddrs())))
  }
  await eventually(
    'all know all',
    () => nodes.every((node) => nodes.every((other) => other === node || knows(node, other))),
    WAIT_MS,
  )
}

export function knows(node: HolderNode, other: HolderNode): boolean {
  return node.chunk.peers().some((peer) => peer.toString() === other.name)
}

/** One slab of an owner: what it signs with, and what it says. */
export interface TestSlab {
  slab: SlabId
  group: SlabId
  signer: Signer
  index: SlabIndex
  /** By column: the pieces. */
  columns: Uint8Array[][]
  /** Who was given which column. */
  holders: Map<number, HolderNode>
}

export interface SlabOptions {
  pool: WorkerPool
  k: number
  n: number
  /** Bytes of each segment, before it is sealed. */
  segments?: readonly number[]
  group?: SlabId
}

/** Seals random bytes and codes them as a put does. */
export async function makeSlab({ pool, k, n, segments = [40_000], group }: SlabOptions): Promise<TestSlab> {
  const signer = ed25519Signer(randomBytes(32))
  const slab = slabIdOf(signer.publicKey)
  const codec = createSegmentCodec(pool)
  const [fileKey, salt] = [randomBytes(32), randomBytes(32)]
  const sealedBytes: number[] = []
  const roots: Uint8Array[] = []
  const columns: Uint8Array[][] = Array.from({ length: n }, () => [])
  for (const [number, bytes] of segments.entries()) {
    const encoded = await codec.encode(new Uint8Array(randomBytes(bytes)), {
      slab,
      number,
      key: segmentKey('segment', fileKey, salt, number),
      redundancy: { k, n },
      signal: AbortSignal.timeout(WAIT_MS),
    })
    sealedBytes.push(encoded.sealedBytes)
    roots.push(...encoded.roots)
    for (const [column, piece] of encoded.pieces.entries()) columns[column]?.push(piece)
  }
  const index = signIndex(signer, NETWORK, { group: group ?? slab, k, n, sealedBytes, roots })
  return { slab, group: group ?? slab, signer, index, columns, holders: new Map() }
}

export function leaseOf({ signer }: TestSlab, options: { forMs?: number; sequence?: number } = {}) {
  const { forMs = 86_400_000, sequence = 1 } = options
  return signLease(signer, NETWORK, { untilMs: Date.now() + forMs, sequence })
}

export function deletionOf({ signer }: TestSlab) {
  return signDeletion(signer, NETWORK, { atMs: Date.now() })
}

/** Stores column i with the i-th holder, and tells each of the others. */
export async function storeSlab(
  owner: HolderNode,
  slab: TestSlab,
  holders: readonly HolderNode[],
  options: { forMs?: number; hint?: boolean } = {},
): Promise<void> {
  const signal = AbortSignal.timeout(WAIT_MS)
  const lease = leaseOf(slab, options)
  await Promise.all(
    holders.map(async (holder, column) => {
      const stream = await owner.chunk.store(
        holder.libp2p.peerId,
        {
          publicKey: slab.signer.publicKey,
          group: slab.group,
          column,
          k: slab.index.k,
          n: slab.index.n,
          maxColumnBytes: slab.index.columnBytes,
          lease: lease.signed,
          purpose: 'put',
        },
        signal,
      )
      for (const piece of slab.columns[column] ?? []) await stream.write(piece, signal)
      await stream.finish(slab.index, signal)
      slab.holders.set(column, holder)
    }),
  )
  if (options.hint === false) return
  const names = holders.map(({ name }) => name)
  for (const holder of holders) {
    const peers = names.filter((name) => name !== holder.name)
    await owner.chunk.hint(holder.libp2p.peerId, { group: slab.group, peers }, signal)
  }
}

/** Which nodes hold which columns of a slab now: column → nodes. */
export function whoHolds(slab: TestSlab, nodes: readonly HolderNode[]): Map<number, HolderNode[]> {
  const found = new Map<number, HolderNode[]>()
  for (const node of nodes) {
    const [held] = node.columns.have([slab.slab])
    if (held !== undefined) found.set(held.column, [...(found.get(held.column) ?? []), node])
  }
  return found
}

/** An owner and holders, all connected; they are added to `running`, and whoever asks stops them. */
export async function startNetwork(
  pool: WorkerPool,
  running: HolderNode[],
  count: number,
  optionsOf: (at: number) => Partial<HolderOptions> = () => ({}),
): Promise<{ owner: HolderNode; holders: HolderNode[] }> {
  const nodes = await Promise.all(
    Array.from({ length: count + 1 }, async (_, at) =>
      startHolder({ pool, ...(at === count ? { offerBytes: 0 } : optionsOf(at)) }),
    ),
  )
  running.push(...nodes)
  await connectAll(nodes)
  const owner = nodes.pop()
  if (owner === undefined) throw new Error('no owner')
  return { owner, holders: nodes }
}
