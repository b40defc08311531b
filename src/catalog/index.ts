/**
 * The public catalogue: what publishers say is to be had, signed, spread to everybody, and searched.
 *
 * ```ts
 * const catalog = createCatalog({ networkName, identity, state, trust, config, publicAddress, parsePeer, log })
 * const gossip = createGossip({ …, topics: [catalog.topic] })
 * networkDht({ …, namespaces: [catalogNamespace(networkName)] })
 * catalog.start({ gossip, convergence, reconcile: libp2p.services.reconcile, heads: { dht, hasRoutes }, describe })
 * await catalog.publish({ title: 'Holiday', address: '/ipfs/bafy…' }, { signal })
 * const { entries, hidden } = catalog.search({ text: 'holiday' })
 * await catalog.stop()
 * ```
 *
 * A publisher's records form a log (`protocols/catalog/SPEC.md`). Three ways bring them here: gossip at once (`topic.ts`),
 * anti-entropy with whoever connects and now and then (`set.ts`, compared by `src/gossip/convergence`), and the head of a log in the DHT, which tells
 * what is missing (`heads.ts`). All end in `intake.ts`, which checks, and `store.ts`, which keeps.
 */
import { peerIdFromString } from '@libp2p/peer-id'
import { decodeBatch } from '../../protocols/catalog/index.ts'
import type { CatalogRecord } from '../../protocols/catalog/types.ts'
import { ed25519Signer, SEED_BYTES } from '../../protocols/shared/ed25519.ts'
import type { Reconcile, ReconciledSet } from '../../protocols/reconcile/types.ts'
import { someOf } from '../../protocols/shared/some-of.ts'
import type { Convergence } from '../gossip/convergence/index.ts'
import type { Gossip } from '../gossip/index.ts'
import { RateLimits } from '../gossip/rate.ts'
import type { TopicRules } from '../gossip/topics.ts'
import type { Identity } from '../identity/index.ts'
import type { StateDatabase } from '../storage/state/types.ts'
import type { Logger } from '../telemetry/types.ts'
import type { Trust } from '../trust/contract.ts'
import { catalogOff, publisherInvalid } from './errors.ts'
import { type HeadDht, Heads } from './heads.ts'
import { Intake } from './intake.ts'
import { EXPIRY_INTERVAL_MS, MAX_LISTENERS, SYNC_PEERS, TOLD_RATE } from './limits.ts'
import { type Description, OwnLog, type PublicAddress } from './own.ts'
import { presented, presentedRow } from './present.ts'
import { CatalogSearch } from './search.ts'
import { catalogSet } from './set.ts'
import { CatalogStore, type PublisherRow } from './store.ts'
import { CATALOG_TOPIC, catalogTopic } from './topic.ts'
import { syncWith } from './sync.ts'
import type { CatalogEntry, CatalogService, PublisherReport } from './types.ts'
import { Visibility } from './visibility.ts'

export { catalogNamespace } from './namespace.ts'
export type { Description, PublicAddress } from './own.ts'
export type * from './types.ts'

export interface CatalogOptions {
  networkName: string
  identity: Pick<Identity, 'privateKey' | 'peerId'>
  state: Pick<StateDatabase, 'db' | 'write' | 'writeRelaxed'>
  trust: Trust
  /** `catalog` of the configuration. */
  config: { receive: boolean; sizeBytes: number; lifetimeMs: number }
  /** What of an address may be published, and in which form. @throws ERR_ADDRESS_INVALID, ERR_LINK_…, ERR_CONTENT_PRIVATE */
  publicAddress: (address: string) => PublicAddress
  /** The CID of a public address; undefined for others. */
  cidOf: (address: string) => string | undefined
  /** Text form of the peer id that a text names. @throws ERR_PEER_INVALID */
  parsePeer: (text: string) => string
  log: Logger
  /** Wall clock in milliseconds; other than the default only in tests. */
  now?: () => number
}

export interface CatalogNetwork {
  gossip: Pick<Gossip, 'publish' | 'subscribe'>
  convergence: Pick<Convergence, 'register' | 'hasten'>
  reconcile: Pick<Reconcile, 'run' | 'peers'>
  heads: HeadDht
  /** What is known here of content, for entries that do not say it. */
  describe: (address: string, signal: AbortSignal) => Promise<Description | undefined>
}

export interface Catalog extends CatalogService {
  /** For gossip, when it is built. */
  readonly topic: TopicRules
  start(network: CatalogNetwork): void
  /** Somebody has come who can be told. */
  wake(): void
  /** Publishes anew own entries that end soon; it is done every ten minutes anyway. How many. @throws the signal's reason */
  renew(options: { signal: AbortSignal }): Promise<number>
  /** Whom to show may have changed. */
  trustChanged(): void
  stop(): Promise<void>
}

export function createCatalog(options: CatalogOptions): Catalog {
  const { networkName, identity, state, trust, config, now = Date.now } = options
  const log = options.log.child({ part: 'catalog' })
  const self = identity.peerId.toString()
  const signer = ed25519Signer(identity.privateKey.raw.subarray(0, SEED_BYTES))
  const ownKey = signer.publicKey
  const listeners = new Set<(entry: CatalogEntry) => void>()
  const rate = new RateLimits(1, () => performance.now())
  const stopping = new AbortController()
  const syncs = { expired: 0, syncs: 0, failedSyncs: 0 }
  let running: { network: CatalogNetwork; heads: Heads; set: ReconciledSet; end: () => void } | undefined

  const visibility: Visibility = new Visibility({ trust, publishers: () => store.publishers(), ownKey, now })
  const store: CatalogStore = new CatalogStore({
    state,
    ownKey,
    maxBytes: config.sizeBytes,
    hidden: () => visibility.hidden(),
    score: (peer) => trust.score(peer),
    onForked(peer) {
      log.warn({ publisher: peer }, 'a publisher has signed two histories')
      if (peer !== self) trust.report(peer, 'protocol-violation', { protocol: 'catalog', rule: 'forked-log' })
    },
  })
  const intake = new Intake({ networkName, state, store, trust, onTaken: tell, now })
  const search = new CatalogSearch({
    state,
    store,
    hidden: () => visibility.hidden(),
    isShown,
    present: (n) => presentedRow(store, n, ownKey),
    parsePeer: options.parsePeer,
    now,
  })
  const own = new OwnLog({
    networkName,
    state,
    store,
    signer,
    lifetimeMs: config.lifetimeMs,
    publicAddress: options.publicAddress,
    describe: async (address, signal) => running?.network.describe(address, signal),
    hasRoutes: () => running?.network.heads.hasRoutes() === true,
    findHead: async () => running?.heads.find(ownKey, stopping.signal),
    gossip: () => running?.network.gossip,
    onPublished(record) {
      tell(record)
      running?.heads.changed()
    },
    log,
    now,
  })

  function tell(record: CatalogRecord): void {
    if (listeners.size === 0 || record.entry === undefined || !rate.take('entries', TOLD_RATE)) return
    const publisher = store.publisher(record.publisher)
    if (publisher === undefined || visibility.hidden().has(publisher.id)) return
    const entry = presented(record, publisher.peer, publisher.peer === self)
    if (entry === undefined || !isShown(entry)) return
    for (const listener of listeners) {
      try {
        listener(entry)
      } catch (error) {
        log.warn({ err: error }, 'a listener of the catalogue failed')
      }
    }
  }

  function isShown({ address, publisher, isOwn }: CatalogEntry): boolean {
    const cid = isOwn ? undefined : options.cidOf(address)
    return cid === undefined || trust.decide(publisher, 'catalogue', { cid }).allowed
  }

  function reportOf(row: PublisherRow): PublisherReport {
    return {
      publisher: row.peer,
      entries: row.entries,
      sequence: row.highest,
      headSequence: row.head === 0 ? null : row.head,
      isShown: !visibility.hidden().has(row.id),
      isForked: row.forked === 1,
      isOwn: row.peer === self,
    }
  }

  async function expire(signal: AbortSignal): Promise<void> {
    const expired = await intake.expire(signal)
    syncs.expired += expired
  }

  function expireSoon(): void {
    expire(stopping.signal)
      .then(() => own.renew({ signal: stopping.signal }))
      .catch((error: unknown) => {
        if (!stopping.signal.aborted)
          log.warn({ err: error }, 'what has expired could not be removed, or own entries not renewed')
      })
  }

  return {
    topic: catalogTopic(intake),

    start(network) {
      if (running !== undefined) return
      const heads = new Heads({
        networkName,
        signer,
        network: network.heads,
        own() {
          const row = store.publisher(ownKey)
          return row === undefined || row.highest_id === null
            ? undefined
            : { sequence: row.highest, record: row.highest_id }
        },
        log,
        now,
      })
      heads.start()
      const set: ReconciledSet = catalogSet({
        store,
        intake,
        now,
        onTaken: () => network.convergence.hasten(set.name),
      })
      const ends: (() => void)[] = []
      if (config.receive) {
        ends.push(network.convergence.register(set))
        ends.push(
          network.gossip.subscribe(CATALOG_TOPIC, async ({ data }, signal) => {
            await intake.take(decodeBatch(data), signal)
          }),
        )
      }
      const timer = setInterval(expireSoon, EXPIRY_INTERVAL_MS).unref()
      ends.push(() => clearInterval(timer))
      running = { network, heads, set, end: () => ends.forEach((end) => end()) }
    },

    wake: () => running?.heads.wake(),
    trustChanged: () => visibility.forget(),

    async stop() {
      stopping.abort(new Error('the node stops'))
      const ended = running
      running = undefined
      ended?.end()
      await ended?.heads.stop()
    },

    async publish(draft, { signal }) {
      const { record, neighbours } = await own.publish(draft, { signal })
      const entry = presented(record, self, true)
      if (entry === undefined) throw new TypeError('what was published is no entry')
      return { entry, neighbours }
    },

    async withdraw(sequences, { signal }) {
      return { publisher: self, ...(await own.withdraw(sequences, { signal })) }
    },

    renew: (options) => own.renew(options),

    search: (query) => search.find(query),

    publishers: () =>
      store
        .publishers()
        .filter(({ records, head }) => records > 0 || head > 0)
        .map(reportOf),

    async sync({ publisher, signal }) {
      if (running === undefined || !config.receive) throw catalogOff()
      const { network, set, heads } = running
      const bounded = AbortSignal.any([signal, stopping.signal])
      await expire(bounded)
      const peer = publisher === undefined ? undefined : options.parsePeer(publisher)
      const key = peer === undefined ? undefined : keyOf(peer)
      const head = key === undefined ? undefined : await heads.find(key, bounded)
      if (key !== undefined && head !== undefined)
        state.writeRelaxed(() => store.noteHead(key, head.sequence))
      const others = network.reconcile.peers().map((each) => each.toString())
      const row = (): PublisherRow | undefined => (key === undefined ? undefined : store.publisher(key))
      const result = await syncWith({
        reconcile: network.reconcile,
        set,
        // The publisher itself knows best; of the others until one has brought as much as the head tells.
        peers: [
          ...(peer === undefined || peer === self ? [] : [peer]),
          ...someOf(
            others.filter((other) => other !== peer),
            SYNC_PEERS,
          ),
        ],
        isEnough: () => key !== undefined && (row()?.highest ?? 0) >= Math.max(1, head?.sequence ?? 0),
        signal: bounded,
        log,
      })
      syncs.syncs += result.peers
      syncs.failedSyncs += result.failed
      const known = row()
      return { ...result, publisher: known === undefined ? null : reportOf(known) }
    },

    statistics() {
      const hidden = visibility.hidden()
      return {
        ...intake.figures,
        refused: { ...intake.figures.refused },
        ...store.totals(hidden),
        bytes: store.bytes,
        hiddenPublishers: hidden.size,
        ...syncs,
      }
    },

    onEntry(listener) {
      if (listeners.size >= MAX_LISTENERS) throw new RangeError(`at most ${MAX_LISTENERS} listeners`)
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** @throws ERR_PEER_INVALID where the peer has no Ed25519 key in its id */
function keyOf(peer: string): Uint8Array {
  const { publicKey } = peerIdFromString(peer)
  if (publicKey === undefined || publicKey.type !== 'Ed25519') throw publisherInvalid(peer)
  return publicKey.raw
}
