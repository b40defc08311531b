import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Identify } from '@libp2p/identify'
import { identify } from '@libp2p/identify'
import type { Libp2p, PeerId } from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import type { Ping } from '@libp2p/ping'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { MemoryDatastore } from 'datastore-core'
import type { ServiceFactoryMap } from 'libp2p'
import { createLibp2p } from 'libp2p'
import { ed25519Signer, prove, signIndex, slabIdOf, slabKeyOf } from '../../protocols/chunk/format/index.ts'
import type { Chunk, ChunkHolder, SlabId, SlabIndex } from '../../protocols/chunk/index.ts'
import { ChunkRefusedError, ChunkStatus, chunk } from '../../protocols/chunk/index.ts'
import { networkDht } from '../../src/network/dht.ts'
import { knownRoutes } from '../../src/network/routes.ts'
import { openState } from '../../src/storage/state/index.ts'
import type { StateDatabase } from '../../src/storage/state/types.ts'
import {
  createManifestCodec,
  createSegmentCodec,
  formatLink,
  SEGMENT_BYTES,
  SEGMENTS_PER_SLAB,
  segmentKey,
  slabSeed,
} from '../../src/vault/codec/index.ts'
import type { ManifestBody, ManifestCodec, ManifestEntry, SegmentCodec } from '../../src/vault/codec/index.ts'
import type { AuditSchedulerOptions } from '../../src/vault/health/index.ts'
import { AuditScheduler, createHealth, HealthMeter, ProofStore } from '../../src/vault/health/index.ts'
import type { ReadingChunk, RunningLocator } from '../../src/vault/locate/index.ts'
import { createLocateAnswerer, createLocator, withLocalHolder } from '../../src/vault/locate/index.ts'
import type { VaultReading } from '../../src/vault/read/index.ts'
import { createVaultReading, ManifestStore, SlabReader } from '../../src/vault/read/index.ts'
import { ByteRate } from '../../src/vault/restore/byte-rate.ts'
import type { Redundancy, VaultService } from '../../src/vault/types.ts'
import type { WorkerPool } from '../../src/workers/index.ts'
import { createWorkerPool } from '../../src/workers/index.ts'
import { RecordingTrust, silentLog } from './content-protocol.ts'
import { endNode } from './end-node.ts'
import { eventually, testSettings } from './network.ts'

export const NETWORK = 'test'

interface Held {
  column: number
  index: SlabIndex
  pieces: Uint8Array[]
}

/** Columns in memory, with hooks to make it slow, forgetful or a liar. */
export class MemoryHolder implements ChunkHolder {
  readonly columns = new Map<string, Held>()
  /** Awaited before each piece is given; gives other bytes, or none, where it says so. */
  onPiece: ((bytes: Uint8Array, segment: number) => Promise<Uint8Array | undefined>) | undefined
  /** Slabs that it claims to have without having them. */
  readonly claims = new Map<string, { column: number; indexHash: Uint8Array; slab: SlabId }>()
  pieces = 0
  /** Whether it says that it lends room; it takes nothing all the same. */
  accepts = false
  locateAnswerer: ReturnType<typeof createLocateAnswerer> | undefined

  add(index: SlabIndex, column: number, pieces: Uint8Array[]): void {
    this.columns.set(slabKeyOf(index.slab), { column, index, pieces })
  }

  groups(): SlabId[] {
    const groups = new Map(
      [...this.columns.values()].map(({ index }) => [slabKeyOf(index.group), index.group]),
    )
    return [...groups.values()].sort((one, other) => Buffer.compare(one, other))
  }

  capacity() {
    const freeBytes = this.accepts ? 2 ** 30 : 0
    return { accepts: this.accepts, offeredBytes: freeBytes, freeBytes, repairFreeBytes: freeBytes }
  }

  async begin(): Promise<never> {
    throw new ChunkRefusedError(ChunkStatus.refused)
  }

  have(slabs: readonly SlabId[]) {
    return slabs.flatMap((slab) => {
      const held = this.columns.get(slabKeyOf(slab))
      const claimed = this.claims.get(slabKeyOf(slab))
      if (held !== undefined) {
        return [{ slab, column: held.column, indexHash: held.index.hash, untilMs: Date.now() + 1_000_000 }]
      }
      return claimed === undefined ? [] : [{ ...claimed, slab, untilMs: Date.now() + 1_000_000 }]
    })
  }

  async index(slab: SlabId) {
    return this.columns.get(slabKeyOf(slab))?.index.signed
  }

  lease() {
    return undefined
  }

  async piece(slab: SlabId, segment: number) {
    this.pieces += 1
    const bytes = this.columns.get(slabKeyOf(slab))?.pieces[segment]
    return bytes === undefined || this.onPiece === undefined ? bytes : this.onPiece(bytes, segment)
  }

  async prove(slab: SlabId, segment: number, leaf: number) {
    const bytes = await this.piece(slab, segment)
    return bytes === undefined ? undefined : prove(bytes, leaf)
  }

  async renew(): Promise<void> {
    throw new ChunkRefusedError(ChunkStatus.notHeld)
  }

  async remove(): Promise<void> {}

  tombstone() {
    return undefined
  }

  tombstones(after: number) {
    return { deletions: [], next: after }
  }

  claim() {
    return false
  }

  hint(): void {}

  async locate(...[query, peer, signal]: Parameters<ChunkHolder['locate']>) {
    return (await this.locateAnswerer?.(query, peer, signal)) ?? []
  }
}

export interface HouseNode {
  libp2p: Libp2p<{ chunk: Chunk }>
  peerId: PeerId
  name: string
  holder: MemoryHolder
  trust: RecordingTrust
  chunk: ReadingChunk
  locator: RunningLocator
  slabs: SlabReader
  manifests: ManifestStore
  reading: VaultReading
  state: StateDatabase
  proofs: ProofStore
  meter: HealthMeter
  health: VaultService['health']
  missing: { slab: string; columns: number[] }[]
  /** Peers that the DHT knows. */
  routes(): number
  scheduler(options: Pick<AuditSchedulerOptions, 'objects' | 'onHealth'>): AuditScheduler
  /** Gone: connections end, nobody answers. */
  stop(): Promise<void>
}

/** What was put, as a test needs it. */
export interface Stored {
  link: string
  content: Buffer
  slabs: SlabId[]
  manifest: SlabId
  indexes: SlabIndex[]
}

/** Nodes on loopback that hold columns in memory and read; real connections, protocol, codec. */
export class ReadingHouse {
  readonly nodes: HouseNode[] = []
  readonly pool: WorkerPool
  readonly segments: SegmentCodec
  readonly manifestCodec: ManifestCodec
  readonly intervalMs: number
  readonly #hasDht: boolean
  readonly #folders: string[] = []

  constructor({ intervalMs = 3_600_000, dht = false }: { intervalMs?: number; dht?: boolean } = {}) {
    this.intervalMs = intervalMs
    this.#hasDht = dht
    this.pool = createWorkerPool({ log: silentLog })
    this.segments = createSegmentCodec(this.pool)
    this.manifestCodec = createManifestCodec(this.pool)
  }

  async start(count: number): Promise<HouseNode[]> {
    const started = await Promise.all(Array.from({ length: count }, () => this.#startNode()))
    this.nodes.push(...started)
    return started
  }

  async #startNode(): Promise<HouseNode> {
    const folder = await mkdtemp(join(tmpdir(), 'p2pnode-reading-'))
    this.#folders.push(folder)
    const state = await openState({ path: join(folder, 'state.db'), log: silentLog })
    const holder = new MemoryHolder()
    const trust = new RecordingTrust()
    const libp2p = (await createLibp2p({
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: 2 * 1024 * 1024 } })],
      connectionManager: { inboundConnectionThreshold: 1_000, reconnectRetries: 0 },
      // A machine that is busy must not cost a test its connections.
      connectionMonitor: { enabled: false },
      services: {
        identify: identify(),
        ping: ping(),
        chunk: chunk({ networkName: NETWORK, holder, trust, log: silentLog }),
        ...(this.#hasDht ? { dht: networkDht(testSettings({ dht: 'server' }), []) } : {}),
      } as ServiceFactoryMap<{ identify: Identify; ping: Ping; chunk: Chunk }>,
    })) as unknown as Libp2p<{ chunk: Chunk; dht?: KadDHT }>
    const { dht } = libp2p.services
    const routes = (): number => (dht === undefined ? 0 : knownRoutes(dht))
    const { peerId } = libp2p
    const service = libp2p.services.chunk
    const reading = withLocalHolder(service, { self: peerId, holder, networkName: NETWORK })
    const log = silentLog
    const locator = createLocator({
      chunk: reading,
      libp2p,
      trust,
      hasRoutes: () => routes() > 0,
      log,
      listGroups: (after) =>
        holder.groups().filter((group) => after === undefined || Buffer.compare(group, after) > 0),
      datastore: new MemoryDatastore(),
    })
    holder.locateAnswerer = createLocateAnswerer({
      chunk: () => service,
      self: {
        peer: peerId.toString(),
        addresses: () =>
          libp2p.getMultiaddrs().map((address) => address.toString().split('/p2p/')[0] as string),
      },
      have: (slabs) => holder.have(slabs),
      hinted: () => [],
      addressesOf: async () => [],
      trust,
    })
    const missing: HouseNode['missing'] = []
    const slabs = new SlabReader({
      chunk: reading,
      locator,
      codec: this.segments,
      onMissing: ({ slab, columns }) => missing.push({ slab: slabKeyOf(slab), columns }),
    })
    const manifests = new ManifestStore({
      chunk: reading,
      locator,
      codec: this.manifestCodec,
      networkName: NETWORK,
    })
    const proofs = new ProofStore(state)
    const { intervalMs } = this
    const meter = new HealthMeter({
      chunk: reading,
      locator,
      manifests,
      proofs,
      trust,
      intervalMs,
      rate: new ByteRate(),
      log,
    })
    let isStopped = false
    return {
      libp2p,
      peerId,
      name: peerId.toString(),
      holder,
      trust,
      chunk: reading,
      locator,
      slabs,
      manifests,
      reading: createVaultReading({ manifests, slabs }),
      state,
      proofs,
      meter,
      health: createHealth(meter, intervalMs),
      missing,
      routes,
      scheduler: (options) => new AuditScheduler({ meter, proofs, intervalMs, log, ...options }),
      async stop() {
        if (isStopped) return
        isStopped = true
        await locator.stop()
        await endNode(libp2p)
        await state.close()
      },
    }
  }

  async connect(one: HouseNode, others: readonly HouseNode[]): Promise<void> {
    const knows = (node: HouseNode, other: HouseNode): boolean =>
      node.libp2p.services.chunk.peers().some((peer) => peer.equals(other.peerId))
    const isConnected = async (other: HouseNode): Promise<boolean> => {
      if (knows(one, other) && knows(other, one)) return true
      // Two that dial each other at the same time may end with no connection.
      if (one.libp2p.getConnections(other.peerId).length === 0) {
        await one.libp2p.dial(other.libp2p.getMultiaddrs(), { signal: AbortSignal.timeout(10_000) })
      }
      return false
    }
    for (const other of others) {
      await eventually('both sides know each other', () => isConnected(other), 60_000)
    }
  }

  /** Puts a file (or a tree with the given entries) on the holders: column i on the i-th. */
  async put(
    content: Buffer,
    holders: readonly HouseNode[],
    {
      redundancy = { k: 4, n: holders.length },
      entries,
    }: { redundancy?: Redundancy; entries?: ManifestEntry[] } = {},
  ): Promise<Stored> {
    const signal = new AbortController().signal
    const owner = randomBytes(32)
    const [fileKey, readKey, manifestSalt] = [randomBytes(32), randomBytes(32), randomBytes(32)]
    const manifest = slabIdOf(ed25519Signer(slabSeed(owner, manifestSalt)).publicKey)
    const slabs: { salt: Uint8Array; modes: Uint8Array }[] = []
    const indexes: SlabIndex[] = []
    const slabBytes = SEGMENT_BYTES * SEGMENTS_PER_SLAB
    for (let begin = 0; begin < content.length; begin += slabBytes) {
      const salt = randomBytes(32)
      const signer = ed25519Signer(slabSeed(owner, salt))
      const slab = slabIdOf(signer.publicKey)
      const part = content.subarray(begin, begin + slabBytes)
      const count = Math.ceil(part.length / SEGMENT_BYTES)
      const encoded = await Promise.all(
        Array.from({ length: count }, (_, number) =>
          this.segments.encode(
            Uint8Array.from(part.subarray(number * SEGMENT_BYTES, (number + 1) * SEGMENT_BYTES)),
            {
              slab,
              number,
              key: segmentKey('segment', fileKey, salt, number),
              redundancy,
              signal,
            },
          ),
        ),
      )
      const index = signIndex(signer, NETWORK, {
        group: manifest,
        ...redundancy,
        sealedBytes: encoded.map(({ sealedBytes }) => sealedBytes),
        roots: encoded.flatMap(({ roots }) => roots),
      })
      for (const [column, { holder }] of holders.slice(0, redundancy.n).entries()) {
        holder.add(
          index,
          column,
          encoded.map(({ pieces }) => pieces[column] as Uint8Array),
        )
      }
      slabs.push({ salt, modes: Uint8Array.from(encoded.map(({ mode }) => mode)) })
      indexes.push(index)
    }
    const body: ManifestBody = {
      name: 'film.bin',
      kind: entries === undefined ? 'file' : 'tree',
      size: content.length,
      sha256: entries === undefined ? createHash('sha256').update(content).digest() : null,
      createdMs: 1_700_000_000_000,
      fileKey,
      slabs,
      mime: entries === undefined ? 'application/octet-stream' : '',
      entries: entries ?? [],
    }
    const map = { redundancy, groups: [{ id: manifest, slabs: indexes.map(({ slab }) => slab) }] }
    await this.#putManifest({ owner, salt: manifestSalt, readKey, body, map }, holders.slice(0, redundancy.n))
    const link = formatLink({ power: 'read', slab: manifest, key: readKey })
    return { link, content, slabs: indexes.map(({ slab }) => slab), manifest, indexes }
  }

  async #putManifest(
    what: {
      owner: Uint8Array
      salt: Uint8Array
      readKey: Uint8Array
      body: ManifestBody
      map: Parameters<ManifestCodec['seal']>[0]['map']
    },
    holders: readonly HouseNode[],
  ): Promise<void> {
    const signer = ed25519Signer(slabSeed(what.owner, what.salt))
    const slab = slabIdOf(signer.publicKey)
    const { map, body, readKey, salt } = what
    const signal = new AbortController().signal
    const sealed = await this.manifestCodec.seal({ map, body }, { slab, salt, readKey, signal })
    const n = holders.length
    const index = signIndex(signer, NETWORK, {
      group: slab,
      k: 1,
      n,
      sealedBytes: sealed.pieces.map(({ length }) => length),
      roots: sealed.roots.flatMap((root) => Array.from({ length: n }, () => root)),
    })
    for (const [column, { holder }] of holders.entries()) holder.add(index, column, sealed.pieces)
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()))
    await this.segments.close()
    await this.pool.close()
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true })
  }
}
