/**
 * The vault: private files by link. Puts its parts together and is otherwise thin: what each does stands in its room
 * (contracts.ts has the list).
 *
 * @example
 * const vault = createVault({ home, config, identity, ownerSecret, state, columns, jobs, trust, gossip, log })
 * // … libp2p with chunk({ holder: vault.holder }), gossip with vault.topics(networkName)
 * const service = await vault.start({ libp2p, chunk, hasRoutes })
 * await jobs.start()
 * await vault.stop()
 */
import type { Ed25519PrivateKey, Libp2p, PeerId } from '@libp2p/interface'
import type { Chunk, ChunkHolder } from '../../protocols/chunk/types.ts'
import type { Gossip } from '../gossip/index.ts'
import type { Jobs } from '../jobs/types.ts'
import type { Columns } from '../storage/columns/index.ts'
import type { StateDatabase } from '../storage/state/index.ts'
import type { Logger } from '../telemetry/types.ts'
import type { Trust } from '../trust/contract.ts'
import { createWorkerPool, type WorkerPool } from '../workers/index.ts'
import { addressesOf, hostOf, withoutPeer } from './addresses.ts'
import { createManifestCodec, createSegmentCodec, parseLink } from './codec/index.ts'
import { AuditScheduler, createHealth, HealthMeter, ProofStore } from './health/index.ts'
import { createHolder, type Holder, type HolderStatistics } from './holder/index.ts'
import { createLocateAnswerer, createLocator, withLocalHolder } from './locate/index.ts'
import { createOwner } from './owner/index.ts'
import { keepsColumns } from './owner/keeps-columns.ts'
import { createPlacer } from './place/index.ts'
import { createRepairOnRead, createVaultReading, ManifestStore, SlabReader } from './read/index.ts'
import { ByteRate } from './restore/byte-rate.ts'
import { repairJob } from './restore/repair-job.ts'
import type { VaultService } from './types.ts'

export { deletionsTopic } from './holder/index.ts'
export { loadOwnerSecret, replaceOwnerSecret } from './owner/secret.ts'
export type { VaultService } from './types.ts'

export interface VaultOptions {
  /** HOME. */
  home: string
  config: {
    readonly network: { readonly name: string }
    readonly storage: { readonly offerBytes: number }
    readonly vault: {
      readonly redundancy: string
      readonly leaseMs: number
      readonly audit: { readonly intervalMs: number }
      readonly repair: { readonly graceMs: number; readonly rateBytesPerSecond: number }
    }
  }
  identity: { readonly privateKey: Ed25519PrivateKey; readonly peerId: PeerId }
  ownerSecret: Uint8Array
  /** Puts the secret that a recovery phrase spells in the place of the one in HOME/owner.key. */
  storeOwnerSecret: (secret: Uint8Array) => Promise<void>
  state: StateDatabase
  columns: Columns
  jobs: Jobs
  trust: Trust
  gossip: Pick<Gossip, 'publish' | 'subscribe'>
  log: Logger
  /** Threads that seal and code; by default as many as the machine allows. */
  threads?: number
}

/** What stands only once libp2p does. */
export interface VaultNetwork {
  chunk: Chunk
  libp2p: Libp2p
  /** Whether the DHT knows anybody to ask. */
  hasRoutes: () => boolean
  /** Looks for further peers until so many that could hold are connected; bounded in time by itself. */
  seek?: (count: number, signal: AbortSignal) => Promise<void>
}

export interface Vault {
  /** For the chunk protocol; answers from the start. */
  readonly holder: ChunkHolder
  /** Begins everything; once, after libp2p has started. Registers the vault's jobs, so before `jobs.start()`. */
  start(network: VaultNetwork): Promise<VaultService>
  /** What this node does as a holder, for metrics. */
  statistics(): HolderStatistics
  /** Whether a peer keeps columns of this node's owner, as far as its state says. */
  readonly keepsOurs: (peer: string) => boolean
  /** Ends what runs in the background; after `jobs.stop()`, before libp2p stops. */
  stop(): Promise<void>
}

/** Repairs of links that a person asked for, at once: each moves slabs. */
const CONCURRENT_REPAIRS = 2

/** Nothing is opened or timed before `start`. */
export function createVault(options: VaultOptions): Vault {
  const pool = createWorkerPool({
    log: options.log,
    ...(options.threads === undefined ? {} : { threads: options.threads }),
  })
  const { config, identity, state, columns, trust, gossip, log } = options
  const holder = createHolder({ config, identity, state, columns, trust, gossip, log })
  const stops: (() => Promise<void>)[] = []
  return {
    holder: holder.answers,
    start: (network) => startVault(options, { network, holder, pool, stops }),
    statistics: () => holder.statistics(),
    keepsOurs: keepsColumns(state),
    async stop() {
      await Promise.allSettled(stops.map((stop) => stop()))
      await holder.stop()
      await pool.close()
    },
  }
}

async function startVault(
  options: VaultOptions,
  parts: { network: VaultNetwork; holder: Holder; pool: WorkerPool; stops: (() => Promise<void>)[] },
): Promise<VaultService> {
  const { config, identity, state, columns, trust, jobs, home, ownerSecret, storeOwnerSecret } = options
  const { holder, pool, stops } = parts
  const { chunk, libp2p, hasRoutes, seek } = parts.network
  const log = options.log.child({ part: 'vault' })
  const self = identity.peerId
  const networkName = config.network.name
  const codec = createSegmentCodec(pool)
  const manifestCodec = createManifestCodec(pool)

  // Who holds what, and who shall.
  const reading = withLocalHolder(chunk, { self, holder: holder.answers, networkName })
  const locator = createLocator({
    chunk: reading,
    libp2p,
    trust,
    hasRoutes,
    listGroups: (after, limit) => columns.groups({ ...(after === undefined ? {} : { after }), limit }),
    datastore: state.datastore,
    log,
  })
  stops.push(() => locator.stop())
  const locate = createLocateAnswerer({
    chunk: () => chunk,
    self: { peer: self.toString(), addresses: () => libp2p.getMultiaddrs().map(withoutPeer) },
    have: (slabs) => columns.have(slabs),
    hinted: (slab) => holder.hinted(slab),
    addressesOf: (peer) => addressesOf(libp2p, peer),
    trust,
  })
  const placer = createPlacer({
    chunk,
    trust,
    self: self.toString(),
    addressOf: (peer) => hostOf(libp2p, peer),
    ...(seek === undefined ? {} : { seek }),
  })
  const tools = holder.start({ chunk, locator, placer, codec, locate })

  // From a link to bytes, and how well it is kept.
  const manifests = new ManifestStore({ chunk: reading, locator, codec: manifestCodec, networkName })
  const slabs = new SlabReader({
    chunk: reading,
    locator,
    codec,
    onMissing: (missing) => repairOnRead(missing),
  })
  const reader = createVaultReading({ manifests, slabs })
  const { intervalMs } = config.vault.audit
  const proofs = new ProofStore(state)
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
  const health = createHealth(meter, intervalMs)

  // What this node's owner puts.
  const owner = createOwner({
    home,
    config,
    ownerSecret,
    storeOwnerSecret,
    database: state,
    chunk,
    placer,
    codec,
    manifestCodec,
    locator,
    restorer: tools.restorer,
    tombstones: holder.tombstones,
    trust,
    jobs,
    log,
  })
  const repairOnRead = createRepairOnRead({
    isOwn: (link) => owner.isOwn(link),
    repair: (link) => jobs.submit('repair', { link }),
    restMs: intervalMs,
    log,
  })
  const audits = new AuditScheduler({
    meter,
    proofs,
    intervalMs,
    objects: () => owner.links(),
    onHealth: (link, found) => owner.noteHealth(link, found),
    onRound: (signal) => owner.checkReceipts(signal),
    log,
  })

  owner.registerJobs()
  tools.registerJobs(jobs, (asked) => owner.prune(asked))
  const repair = repairJob({ manifests, parseLink, repair: tools.repair, concurrency: CONCURRENT_REPAIRS })
  jobs.register({ ...repair, privacy: owner.jobPrivacy })
  await owner.start()
  locator.start()
  audits.start()
  stops.push(
    () => audits.stop(),
    () => owner.stop(),
  )

  return {
    ...reader,
    list: () => owner.list(),
    async share(link, power) {
      return power === 'owner' ? owner.shareOwner(link) : reader.share(link, power)
    },
    async health(link, asked) {
      const found = await health(link, asked)
      owner.noteHealth(link, found)
      return found
    },
    async recoveryPhrase() {
      return owner.recoveryPhrase()
    },
    exportState: (passphrase) => owner.exportState(passphrase),
    importState: (bytes, passphrase) => owner.importState(bytes, passphrase),
    recover: (phrase, signal) => owner.recover(phrase, signal),
    report() {
      const { columns: heldColumns, usedBytes, offeredBytes } = columns.usage()
      const owned = owner.report()
      const problems = [...owned.problems, ...holder.problems()]
      return { ...owned, problems, heldColumns, heldBytes: usedBytes, offeredBytes }
    },
  }
}
