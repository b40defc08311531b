import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { encodeSigned, signRecord } from '../../protocols/catalog/index.ts'
import type { CatalogRecord, Entry } from '../../protocols/catalog/types.ts'
import { ed25519Signer, type Signer } from '../../protocols/shared/ed25519.ts'
import type { Outcome, ReconciledSet } from '../../protocols/reconcile/types.ts'
import { type Catalog, type CatalogNetwork, createCatalog } from '../../src/catalog/index.ts'
import type { GossipHandler } from '../../src/gossip/index.ts'
import { ed25519FromSeed } from '../../src/identity/ed25519.ts'
import { openState } from '../../src/storage/state/index.ts'
import type { StateDatabase } from '../../src/storage/state/types.ts'
import type { Action, Decision, EvidenceKind } from '../../src/trust/contract.ts'
import { parsePeer } from '../../src/trust/index.ts'
import { quietLogger } from './network.ts'

export const DAY_MS = 86_400_000
export const SOME_CID = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'

export const ENTRY: Entry = {
  kind: 'file',
  title: 'Hello',
  description: '',
  tags: [],
  mime: '',
  sizeBytes: null,
  address: `/ipfs/${SOME_CID}`,
}

/** Somebody who publishes: a log that grows. */
export interface TestPublisher {
  readonly signer: Signer
  readonly peer: string
  readonly records: CatalogRecord[]
  entry(changes?: Partial<Entry>, times?: { atMs?: number; untilMs?: number }): CatalogRecord
  withdraw(...sequences: number[]): CatalogRecord
}

export function newPublisher(
  atMs: number,
  networkName = 'test',
  seed: Uint8Array = randomBytes(32),
): TestPublisher {
  const signer = ed25519Signer(seed)
  const records: CatalogRecord[] = []
  const append = (
    body: { entry: Entry } | { withdraws: number[] },
    { atMs: at = atMs, untilMs = at + 90 * DAY_MS }: { atMs?: number; untilMs?: number } = {},
  ): CatalogRecord => {
    const last = records.at(-1)
    const record = signRecord(signer, networkName, {
      sequence: (last?.sequence ?? 0) + 1,
      previous: last?.id,
      atMs: at,
      untilMs,
      ...body,
    })
    records.push(record)
    return record
  }
  return {
    signer,
    peer: peerIdFromPrivateKey(ed25519FromSeed(seed)).toString(),
    records,
    entry: (changes = {}, times = {}) => append({ entry: { ...ENTRY, ...changes } }, times),
    withdraw: (...sequences) => append({ withdraws: sequences }),
  }
}

export interface CatalogFixture {
  readonly catalog: Catalog
  readonly network: SilentNetwork
  readonly state: StateDatabase
  readonly clock: { nowMs: number }
  readonly log: ReturnType<typeof quietLogger>
  readonly self: string
  /** Peers that are refused, and why. */
  readonly refused: Map<string, Extract<Decision, { allowed: false }>['reason']>
  readonly refusedCids: Set<string>
  readonly scores: Map<string, number>
  readonly reports: { peer: string; kind: EvidenceKind }[]
  /** Another catalogue over the same state. */
  reopen: () => Catalog
  close(): Promise<void>
}

/** A catalogue over a real state.db, without a network, with a clock and a policy that the test moves. */
export async function openCatalog(
  config: Partial<{ receive: boolean; sizeBytes: number; lifetimeMs: number }> = {},
): Promise<CatalogFixture> {
  const home = await mkdtemp(join(tmpdir(), 'p2pnode-catalog-'))
  const log = quietLogger()
  const state = await openState({ path: join(home, 'state.db'), log })
  const clock = { nowMs: 1_700_000_000_000 }
  const refused: CatalogFixture['refused'] = new Map()
  const refusedCids = new Set<string>()
  const scores = new Map<string, number>()
  const reports: CatalogFixture['reports'] = []
  const privateKey = ed25519FromSeed(randomBytes(32))
  const peerId = peerIdFromPrivateKey(privateKey)
  const trust = {
    decide(peer: string, _action: Action, subject?: { cid?: string }): Decision {
      const reason = refused.get(peer)
      if (reason !== undefined) return { allowed: false, reason }
      return subject?.cid !== undefined && refusedCids.has(subject.cid)
        ? { allowed: false, reason: 'deny-list' }
        : { allowed: true }
    },
    score: (peer: string) => scores.get(peer) ?? 0.5,
    isProven: () => false,
    report(peer: string, kind: EvidenceKind): void {
      reports.push({ peer, kind })
    },
  }
  const reopen = (): Catalog =>
    createCatalog({
      networkName: 'test',
      identity: { privateKey, peerId },
      state,
      trust,
      config: {
        receive: true,
        sizeBytes: 64 * 1024 * 1024,
        lifetimeMs: 90 * DAY_MS,
        ...config,
      },
      publicAddress: (text) => ({ text, isLink: text.startsWith('p2pnode:') }),
      cidOf: (address) => /^\/ipfs\/([^/]+)/.exec(address)?.[1],
      parsePeer,
      log,
      now: () => clock.nowMs,
    })
  const catalog = reopen()
  const network = silentNetwork()
  catalog.start(network)
  return {
    catalog,
    network,
    state,
    clock,
    log,
    self: peerId.toString(),
    refused,
    refusedCids,
    scores,
    reports,
    reopen,
    async close() {
      await catalog.stop()
      await state.close()
      await rm(home, { recursive: true, force: true })
    },
  }
}

/** Lets records come to a catalogue as anti-entropy brings them; one outcome for each. */
export function takeInto(
  { network }: Pick<CatalogFixture, 'network'>,
  records: readonly CatalogRecord[],
): Promise<readonly Outcome[]> {
  const entries = records.map(({ signed }) => encodeSigned(signed))
  return network.set().take(entries, 'test', { signal: AbortSignal.timeout(30_000) })
}

/** Stands where the network would: nobody is there, and what is said is kept. */
export interface SilentNetwork extends CatalogNetwork {
  readonly published: Uint8Array[]
  /** The set that was registered. */
  set(): ReconciledSet
  /** As gossip would deliver it. */
  deliver(data: Uint8Array): Promise<void>
}

function silentNetwork(): SilentNetwork {
  const published: Uint8Array[] = []
  let set: ReconciledSet | undefined
  let handler: GossipHandler | undefined
  return {
    published,
    set() {
      if (set === undefined) throw new Error('no set was registered')
      return set
    },
    async deliver(data) {
      await handler?.({ author: 'test', topic: 'catalog', data }, AbortSignal.timeout(30_000))
    },
    gossip: {
      async publish(_topic, data) {
        published.push(data)
        return 3
      },
      subscribe(_topic, given) {
        handler = given
        return () => (handler = undefined)
      },
    },
    convergence: {
      register(given) {
        set = given
        return () => (set = undefined)
      },
      hasten() {},
    },
    reconcile: { run: () => Promise.reject(new Error('nobody is there')), peers: () => [] },
    heads: { dht: { async *get() {}, async *put() {} }, hasRoutes: () => false },
    describe: async () => undefined,
  }
}
