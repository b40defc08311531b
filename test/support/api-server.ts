import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import { type Api, type ApiDependencies, createApi } from '../../src/api/index.ts'
import { createNames } from '../../src/content/names/index.ts'
import type { ContentService, Entry, Provider, Resolved, Route } from '../../src/content/types.ts'
import { createPinning } from '../../src/content/pinning/index.ts'
import type { Jobs } from '../../src/jobs/index.ts'
import type { AwayPeer, PeerSummary } from '../../src/network/types.ts'
import type { Pin } from '../../src/storage/types.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { createTrust } from '../../src/trust/index.ts'
import { FakeVault } from './api-vault.ts'
import { type memoryLogger, openJobs, temporaryFolder } from './jobs.ts'

/** Marked private on the node of the tests. */
export const PRIVATE_CID = 'bafkqaaip'

export const PEER = '12D3KooWGRUfLsyJUWbM7ytJbYfSVPHQjKjxZ3VZJ9JYvbhfBPhe'

export const PROVIDER: Provider = {
  peer: PEER,
  kind: 'connected',
  score: 100,
  claim: 'yes',
  successes: 1.5,
  failures: 0,
  bytes: 1000.5,
  bytesPerSecond: null,
  latencyMs: 12,
}

export const cidOf = async (bytes: Uint8Array): Promise<CID> =>
  CID.createV1(raw.code, await sha256.digest(bytes))

/** Public content held in memory, by the text of its address; streams can be made to fail or hang. */
export class FakeContent implements ContentService {
  readonly files = new Map<string, { bytes: Uint8Array; cid: CID; name: string }>()
  /** Signals of reads, in order, so that a test sees whether a read was called off. */
  readonly signals: AbortSignal[] = []
  /** What `car` and `tar` yield. */
  stream: (signal: AbortSignal) => AsyncIterable<Uint8Array> = async function* () {
    yield new TextEncoder().encode('stream')
  }
  entries: Entry[] = []

  async put(name: string, bytes: Uint8Array): Promise<CID> {
    const cid = await cidOf(bytes)
    this.files.set(cid.toString(), { bytes, cid, name })
    return cid
  }

  async resolve(address: string): Promise<Resolved> {
    const found = this.#find(address)
    return {
      root: found.cid,
      cid: found.cid,
      path: [],
      name: found.name,
      type: 'file',
      size: found.bytes.byteLength,
      mode: null,
    }
  }

  async *ls(address: string): AsyncIterable<Entry> {
    if (address !== 'directory') this.#find(address)
    yield* this.entries
  }

  async *cat(
    address: string,
    options: { signal: AbortSignal; offset?: number; length?: number },
  ): AsyncIterable<Uint8Array> {
    this.signals.push(options.signal)
    const { bytes } = this.#find(address)
    const start = options.offset ?? 0
    const end = Math.min(bytes.byteLength, start + (options.length ?? bytes.byteLength))
    const step = 64 * 1024
    for (let at = start; at < end; at += step) {
      options.signal.throwIfAborted()
      yield bytes.subarray(at, Math.min(end, at + step))
    }
  }

  tar(_address: string, options: { signal: AbortSignal }): AsyncIterable<Uint8Array> {
    this.signals.push(options.signal)
    return this.stream(options.signal)
  }

  car(_address: string, options: { signal: AbortSignal }): AsyncIterable<Uint8Array> {
    this.signals.push(options.signal)
    return this.stream(options.signal)
  }

  blocks(): never {
    throw new Error('the control API does not ask for it')
  }

  async *providers(): AsyncIterable<Provider> {
    yield PROVIDER
  }

  async route(cid: CID, { sizeBytes }: { sizeBytes?: number | undefined }): Promise<Route> {
    return {
      cid: cid.toString(),
      facts: { isPrivate: false, sizeBytes: sizeBytes ?? null, ageMs: null },
      preference: 'none',
      count: 3,
      sources: [
        { kind: 'peer', id: PEER, score: 100, terms: [{ name: 'kind', value: 'peer', points: 100 }] },
      ],
      steps: ['proxy'],
    }
  }

  async provide(): Promise<void> {}

  async markPrivate(): Promise<void> {}

  privateRoots(): { cid: string; createdAtMs: number }[] {
    return []
  }

  steps(): ReturnType<ContentService['steps']> {
    const none = { asked: 0, answered: 0, bytes: 0, ms: 0 }
    return { local: none, peers: none, ipfs: none, proxy: none, gateways: none }
  }

  #find(address: string) {
    const found = this.files.get(address)
    if (found === undefined) throw new P2pnodeError('ERR_NOT_FOUND', 'not-found', `nobody has ${address}`)
    return found
  }
}

/** One connected peer, which `connect` and `disconnect` add and take away. */
export class FakeNetwork {
  readonly connected = new Map<string, PeerSummary>()
  readonly #listeners = new Set<(event: { type: 'connected' | 'disconnected'; peer: string }) => void>()
  readonly did = 'did:key:z6Mk'

  get peerId(): never {
    throw new Error('the API does not ask for it')
  }
  addresses(): string[] {
    return [`/ip4/127.0.0.1/tcp/4700/p2p/${PEER}`]
  }
  peers(): PeerSummary[] {
    return [...this.connected.values()]
  }
  peerCount(): number {
    return this.connected.size
  }
  known(limit: number): AwayPeer[] {
    const away: AwayPeer = {
      peer: PEER,
      did: this.did,
      addresses: ['/ip4/192.0.2.7/tcp/4700'],
      firstSeenMs: 1,
      lastSeenMs: 2,
      successes: 3,
      failures: 4,
      failuresInRow: 1,
      bytesIn: 5,
      bytesOut: 6,
      latencyMs: null,
      agent: null,
      score: 0.5,
    }
    return [away].slice(0, limit)
  }
  async connect(multiaddr: string): Promise<PeerSummary> {
    if (!multiaddr.startsWith('/')) {
      throw new P2pnodeError('ERR_ADDRESS_INVALID', 'usage', 'not a multiaddr')
    }
    const peer: PeerSummary = {
      peer: PEER,
      did: this.did,
      addresses: [multiaddr],
      direction: 'outbound',
      limited: false,
      transport: 'tcp',
      connectedAtMs: Date.now(),
      latencyMs: 1.5,
      streams: 1,
      protocols: ['/ipfs/ping/1.0.0'],
      agent: null,
      score: 0.5,
      bytesIn: 1024,
      bytesOut: 0,
      firstSeenMs: Date.now(),
      connections: 1,
      failures: 0,
    }
    this.connected.set(PEER, peer)
    this.emit({ type: 'connected', peer: PEER })
    return peer
  }
  async disconnect(peer: string): Promise<void> {
    if (!this.connected.delete(peer)) {
      throw new P2pnodeError('ERR_PEER_NOT_CONNECTED', 'not-found', 'not connected')
    }
    this.emit({ type: 'disconnected', peer })
  }
  emit(event: { type: 'connected' | 'disconnected'; peer: string }): void {
    for (const listener of this.#listeners) listener(event)
  }
  onChange(listener: (event: { type: 'connected' | 'disconnected'; peer: string }) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

/** Job kinds of the API in small: an upload is hashed and committed chunk by chunk. */
export function registerTestKinds(jobs: Jobs): { release: () => void; received: Buffer[] } {
  const gate = Promise.withResolvers<void>()
  const received: Buffer[] = []
  for (const kind of ['add', 'car-import', 'put']) {
    jobs.register({
      kind,
      concurrency: 4,
      resumable: true,
      title: () => kind,
      run: async ({ source, checkpoint, progress }) => {
        if (source === null) throw new Error('an upload is expected')
        const hash = createHash('sha256')
        let size = source.offset
        let kept = (checkpoint as { text: string } | undefined)?.text ?? ''
        for await (const chunk of source) {
          received.push(Buffer.from(chunk))
          hash.update(chunk)
          size += chunk.byteLength
          kept = `${size}`
          progress({ done: size, unit: 'bytes' })
          await source.commit(size, { text: kept })
        }
        return { size }
      },
    })
  }
  jobs.register({
    kind: 'get',
    concurrency: 4,
    resumable: false,
    title: () => 'get',
    run: async ({ params }) => {
      const { address } = params as { address: string }
      if (address === 'missing') throw new P2pnodeError('ERR_NOT_FOUND', 'not-found', 'nobody has it')
      return { address }
    },
  })
  for (const kind of ['pin', 'gc', 'scrub', 'rm', 'repair', 'prune', 'leave']) {
    jobs.register({
      kind,
      concurrency: 1,
      resumable: false,
      title: () => kind,
      run: async ({ params, signal }) => {
        await Promise.race([
          gate.promise,
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
        ])
        return { params }
      },
    })
  }
  return { release: gate.resolve, received }
}

export interface ApiBench extends AsyncDisposable {
  api: Api
  url: string
  port: number
  token: string
  home: string
  content: FakeContent
  vault: FakeVault
  network: FakeNetwork
  jobs: Jobs
  log: ReturnType<typeof memoryLogger>
  kinds: ReturnType<typeof registerTestKinds>
  pins: Pin[]
  health: { state: 'ready' | 'starting' | 'stopping' | 'degraded' | 'failed'; problems: string[] }
  stops: () => number
  dependencies: ApiDependencies
}

/** A real server on a free port, over the real jobs, state and trust and small stand-ins for the rest. */
export async function openApi(overrides: Partial<ApiDependencies> = {}): Promise<ApiBench> {
  const folder = await temporaryFolder()
  const home = folder.path
  const { jobs, state, log, close } = await openJobs(home)
  const kinds = registerTestKinds(jobs)
  await jobs.start()
  const content = new FakeContent()
  const vault = new FakeVault()
  // Real names, of a node that is alone.
  const names = createNames({
    state,
    identity: { privateKey: await generateKeyPair('Ed25519') },
    dhts: [],
    dnslink: [`docs.example=/ipfs/${PRIVATE_CID}/docs`],
    isPrivate: (cid) => cid.toString() === PRIVATE_CID,
    log,
  })
  const network = new FakeNetwork()
  const pins: Pin[] = []
  const pinning = createPinning({
    state,
    jobs,
    pins: storageOf(pins).pins,
    connect: (origin) => network.connect(origin),
    log,
  })
  pinning.start()
  const trust = createTrust({ state, log, networkName: 'test' })
  const metrics = createMetrics({ watchEventLoop: false })
  const health: ApiBench['health'] = { state: 'ready', problems: [] }
  let stops = 0
  const dependencies: ApiDependencies = {
    listen: { host: '127.0.0.1', port: 0 },
    home,
    version: '0.0.0-test',
    log,
    metrics,
    network,
    trust,
    jobs,
    content,
    names,
    pinning,
    vault,
    publicRead: false,
    contentStatistics: () => ({
      servedBytes: 0,
      servedBlocks: 0,
      fetchedBytes: 0,
      fetchedBlocks: 0,
      inboundStreams: 0,
      outboundStreams: 0,
    }),
    storage: storageOf(pins),
    state,
    status: () => ({
      peerId: PEER,
      did: network.did,
      role: 'worker',
      effect: ['lends nothing'],
      version: '0.0.0-test',
      uptimeMs: 1,
      home,
      multiaddrs: network.addresses(),
      network: {
        mode: 'private',
        name: 'test',
        dht: 'server' as const,
        reachability: 'unknown' as const,
        observed: [],
        relays: [],
        relayed: 0,
        upgraded: 0,
        relayedFor: null,
      },
    }),
    id: () => ({
      peerId: PEER,
      did: network.did,
      multiaddrs: network.addresses(),
      agent: 'p2pnode',
      protocols: [],
    }),
    health: () => health,
    configuration: () => ({ values: [{ key: 'api.port', value: 0, source: 'flag' }] }),
    doctor: async () => ({ checks: [{ name: 'disk', state: 'ok', message: 'fine' }] }),
    stop: () => {
      stops += 1
    },
    backup: async (out) => {
      out.end('snapshot')
    },
    ...overrides,
  }
  const api = await createApi(dependencies)
  const { url } = await api.listen()
  const token = (await readFile(join(home, 'api.token'), 'utf8')).trim()
  return {
    api,
    url,
    port: Number(new URL(url).port),
    token,
    home,
    content,
    vault,
    network,
    jobs,
    log,
    kinds,
    pins,
    health,
    stops: () => stops,
    dependencies,
    async [Symbol.asyncDispose]() {
      kinds.release()
      await api.close()
      await names.stop()
      await pinning.stop()
      metrics.close()
      trust.stop()
      await close()
      await folder[Symbol.asyncDispose]()
    },
  }
}

function storageOf(pins: Pin[]): ApiDependencies['storage'] {
  const unused = (): never => {
    throw new Error('the API does not ask for it')
  }
  return {
    blocks: {
      usage: () => ({ usedBytes: 10, quotaBytes: 100, blocks: 1, blockBytes: 5, quarantined: 0 }),
      get: unused,
      has: unused,
      hasMany: unused,
      size: unused,
      put: unused,
      watch: unused,
      lease: unused,
      asBlockstore: unused,
    },
    pins: {
      add: unused,
      count: () => pins.length,
      references: unused,
      state: () => 'none',
      list: ({ cid } = {}) => ({
        pins: pins.filter((pin) => cid === undefined || pin.cid.equals(cid)),
        nextAfterId: null,
      }),
      remove: async (cid) => {
        const removed = pins.filter((pin) => pin.cid.equals(cid))
        if (removed.length === 0) throw new P2pnodeError('ERR_PIN_NOT_FOUND', 'not-found', 'no such pin')
        pins.splice(0, pins.length, ...pins.filter((pin) => !pin.cid.equals(cid)))
        return removed
      },
    },
  }
}
