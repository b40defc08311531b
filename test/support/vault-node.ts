import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey, Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { createLibp2p } from 'libp2p'
import { type Chunk, type ChunkHolder, chunk as chunkProtocol } from '../../protocols/chunk/index.ts'
import { createGossip } from '../../src/gossip/index.ts'
import { createJobs } from '../../src/jobs/index.ts'
import type { JobRecord, Jobs } from '../../src/jobs/types.ts'
import { boundedStop, knownRoutes, libp2pOptions, type NetworkServices } from '../../src/network/index.ts'
import type { Columns } from '../../src/storage/columns/types.ts'
import { openStorage } from '../../src/storage/open.ts'
import { openState, type StateDatabase } from '../../src/storage/state/index.ts'
import type { Logger } from '../../src/telemetry/types.ts'
import type { TrustService } from '../../src/trust/index.ts'
import { createTrust } from '../../src/trust/index.ts'
import {
  createVault,
  deletionsTopic,
  loadOwnerSecret,
  replaceOwnerSecret,
  type Vault,
} from '../../src/vault/index.ts'
import type { PutParams, PutResult, VaultService } from '../../src/vault/types.ts'
import { cutConnections } from './end-node.ts'
import { eventually, quietLogger, testSettings } from './network.ts'

export interface VaultNodeOptions {
  /** A home that an earlier start left behind; without it a new one. */
  home?: string
  /** What the node lends to others; 0: nothing. */
  offerBytes?: number
  redundancy?: string
  leaseMs?: number
  auditIntervalMs?: number
  graceMs?: number
  dht?: 'server' | 'client'
  log?: Logger
  /** Stands before the node's holder: a test makes it slow, full or a liar. */
  holder?: (answers: ChunkHolder) => ChunkHolder
  /** Stands before the node's chunk protocol as its owner uses it. */
  chunk?: (chunk: Chunk) => Chunk
  sourceTimeoutMs?: number
}

export interface VaultNode {
  readonly home: string
  readonly peer: string
  readonly peerId: PeerId
  readonly state: StateDatabase
  readonly columns: Columns
  readonly jobs: Jobs
  readonly trust: TrustService
  readonly libp2p: Libp2p<NetworkServices & { chunk: Chunk }>
  readonly chunk: Chunk
  readonly vault: Vault
  readonly service: VaultService
  readonly log: Logger
  readonly address: string
  connect(other: VaultNode): Promise<void>
  /** Runs a job to its end; throws the failure where it did not end well. */
  run<Result>(kind: string, params: unknown): Promise<Result>
  /** Uploads in parts and gives the result of the job. */
  put(bytes: Uint8Array, params?: Partial<PutParams>): Promise<PutResult>
  /** Begins a put and gives the job and its upload session. */
  beginPut(
    size: number | null,
    params?: Partial<PutParams>,
    fingerprint?: string,
  ): Promise<{ job: JobRecord; session: string }>
  /** Sends bytes from the session's offset on; resolves when the job has taken them. */
  send(session: string, bytes: Uint8Array): Promise<void>
  ended<Result>(jobId: string): Promise<Result>
  /** Stops everything; the home stays for another start with `keepHome`. */
  stop(options?: { keepHome?: boolean }): Promise<void>
  /** As a crash leaves it: connections cut, nothing told to anybody; the home stays. */
  cut(): Promise<void>
}

export const PUT: PutParams = {
  source: 'file',
  fileName: 'file.bin',
  name: 'file.bin',
  allowDegraded: false,
  preserveMode: true,
}
const UPLOAD_PART_BYTES = 256 * 1024
const DAY_MS = 24 * 60 * 60 * 1_000

/** A node's whole vault as the daemon composes it, on loopback and in a folder of its own. */
export async function startVaultNode(options: VaultNodeOptions = {}): Promise<VaultNode> {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), 'p2pnode-vault-')))
  const log = options.log ?? quietLogger()
  const state = await openState({ path: join(home, 'state.db'), log })
  const privateKey = await keyOf(home)
  const peerId = peerIdFromPrivateKey(privateKey)
  const identity = { privateKey, peerId }
  const offerBytes = options.offerBytes ?? 2 ** 32
  const storage = await openStorage({
    home,
    config: {
      quotaBytes: 2 ** 33,
      offerBytes,
      durability: 'relaxed',
      memoryBytes: 2 ** 20,
      scrubRateBytesPerSecond: 2 ** 30,
    },
    state,
    log,
  })
  const { columns } = storage
  const jobs = createJobs({
    state,
    log,
    sourceTimeoutMs: options.sourceTimeoutMs ?? 60_000,
    retentionMs: 3_600_000,
  })
  const trust = createTrust({ state, log, networkName: 'test' })
  trust.start()
  const gossip = createGossip({ networkName: 'test', topics: [deletionsTopic('test')], trust, log })
  const vault = createVault({
    home,
    config: {
      network: { name: 'test' },
      storage: { offerBytes },
      vault: {
        redundancy: options.redundancy ?? 'auto',
        leaseMs: options.leaseMs ?? 90 * DAY_MS,
        audit: { intervalMs: options.auditIntervalMs ?? DAY_MS },
        repair: { graceMs: options.graceMs ?? DAY_MS, rateBytesPerSecond: 2 ** 30 },
      },
    },
    identity,
    ownerSecret: await loadOwnerSecret({ path: join(home, 'owner.key') }),
    storeOwnerSecret: (secret) => replaceOwnerSecret(secret, { path: join(home, 'owner.key') }),
    state,
    columns,
    jobs,
    trust,
    gossip,
    log,
    threads: 1,
  })
  const holder = options.holder?.(vault.holder) ?? vault.holder
  const libp2p = (await createLibp2p({
    ...libp2pOptions({
      config: testSettings({ dht: options.dht ?? 'server' }),
      identity,
      datastore: state.datastore,
      trust,
      log,
      version: '0.0.0-test',
      gossip: gossip.rules,
      services: { chunk: chunkProtocol({ networkName: 'test', holder, trust, log }) },
    }),
    start: false,
  })) as unknown as Libp2p<NetworkServices & { chunk: Chunk }>
  await libp2p.start()
  gossip.start(libp2p.services.pubsub)
  const chunk = options.chunk?.(libp2p.services.chunk) ?? libp2p.services.chunk
  const service = await vault.start({ libp2p, chunk, hasRoutes: () => knownRoutes(libp2p.services.dht) > 0 })
  await jobs.start()

  const ended = async <Result>(id: string): Promise<Result> => {
    const record = await jobs.wait(id, AbortSignal.timeout(100_000))
    if (record.state === 'done') return record.result as Result
    throw Object.assign(new Error(record.error?.message ?? record.state), record.error)
  }
  let stopped: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    await jobs.stop()
    await vault.stop()
    gossip.stop()
    cutConnections(libp2p)
    await boundedStop(libp2p, 3_000)
    trust.stop()
    await storage.close()
    await state.close()
  }

  const node: VaultNode = {
    home,
    peer: peerId.toString(),
    peerId,
    state,
    columns,
    jobs,
    trust,
    libp2p,
    chunk: libp2p.services.chunk,
    vault,
    service,
    log,
    address: libp2p.getMultiaddrs()[0]?.toString() ?? '',
    async connect(other) {
      const [address] = other.libp2p.getMultiaddrs()
      if (address === undefined) throw new Error('no address')
      await libp2p.dial(address, { signal: AbortSignal.timeout(10_000) })
      // Identify tells both sides what the other speaks.
      await eventually(
        'both know what the other speaks',
        () => knows(node, other) && knows(other, node),
        15_000,
      )
    },
    run: async <Result>(kind: string, params: unknown) => ended<Result>((await jobs.submit(kind, params)).id),
    async put(bytes, params) {
      const { job, session } = await node.beginPut(bytes.length, params)
      try {
        await node.send(session, bytes)
        await jobs.complete(session, bytes.length)
      } catch {
        // The job says why it takes no more.
      }
      return ended<PutResult>(job.id)
    },
    async beginPut(size, params, fingerprint = crypto.randomUUID()) {
      const job = await jobs.submit('put', { ...PUT, ...params }, { upload: { fingerprint, size } })
      const upload = jobs.uploadOfJob(job.id)
      if (upload === undefined) throw new Error('no upload session')
      return { job, session: upload.id }
    },
    async send(session, bytes) {
      const signal = AbortSignal.timeout(100_000)
      for (let at = jobs.upload(session)?.offset ?? 0; at < bytes.length; ) {
        const part = bytes.subarray(at, at + UPLOAD_PART_BYTES)
        at = (await jobs.append(session, at, only(part), signal)).offset
      }
    },
    ended,
    async stop({ keepHome = false } = {}) {
      stopped ??= stop()
      await stopped
      if (!keepHome) await rm(home, { recursive: true, force: true })
    },
    async cut() {
      for (const connection of libp2p.getConnections()) connection.abort(new Error('cut'))
      await node.stop({ keepHome: true })
    },
  }
  return node
}

/** Nodes that lend storage, every one connected to `to`. */
export async function startHolders(
  count: number,
  to: VaultNode,
  options: VaultNodeOptions | ((at: number) => VaultNodeOptions) = {},
): Promise<VaultNode[]> {
  const nodes: VaultNode[] = []
  for (let at = 0; at < count; at += 1) {
    const node = await startVaultNode(typeof options === 'function' ? options(at) : options)
    await to.connect(node)
    nodes.push(node)
  }
  return nodes
}

/** Stops all of them, whatever becomes of each. */
export async function stopVaultNodes(nodes: readonly VaultNode[]): Promise<void> {
  await Promise.allSettled(nodes.map((node) => node.stop()))
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}

function knows(one: VaultNode, other: VaultNode): boolean {
  return one.chunk.peers().some((peer) => peer.equals(other.peerId))
}

/** The same home has the same key at every start. */
function keyOf(home: string): Promise<Ed25519PrivateKey> {
  return generateKeyPairFromSeed('Ed25519', createHash('sha256').update(home).digest())
}

async function* only(part: Uint8Array): AsyncGenerator<Uint8Array> {
  yield part
}
