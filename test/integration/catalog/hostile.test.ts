import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, toBinary } from '@bufbuild/protobuf'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../../../config/index.ts'
import { encodeSigned } from '../../../protocols/catalog/index.ts'
import { MAX_BATCH_BYTES } from '../../../protocols/catalog/limits.ts'
import { BatchSchema } from '../../../protocols/catalog/messages_pb.ts'
import type { CatalogRecord, SignedBytes } from '../../../protocols/catalog/types.ts'
import { reconcile } from '../../../protocols/reconcile/index.ts'
import type { Reconcile, ReconciledSet } from '../../../protocols/reconcile/types.ts'
import { createNode, type Node } from '../../../src/node/index.ts'
import { DAY_MS, newPublisher, SOME_CID, type TestPublisher } from '../../support/catalog.ts'
import { eventually, quietLogger, startTestNode, type TestNode } from '../../support/network.ts'

const signal = AbortSignal.timeout(120_000)
const RULES = { name: 'catalog', maxBytes: MAX_BATCH_BYTES, authorRate: { perSecond: 1_000, burst: 1_000 } }
const ALLOW = { decide: () => ({ allowed: true }) as const, report() {} }

let home: string
let node: Node
let hostile: TestNode
let honest: TestPublisher
/** What the hostile peer says it has. */
let offered: Map<string, Uint8Array>

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'p2pnode-catalog-'))
  const set = [
    'api.port=0',
    'gateway.port=0',
    'network.name=test',
    'network.mdns=false',
    'network.transports.websocket=false',
    'network.transports.quic=false',
    'network.transports.webrtcDirect=false',
    'network.transports.webrtc=false',
    'network.maxInboundPerIpPerSecond=1000',
    'storage.quota=256MiB',
  ]
  const { config, sources } = await loadConfig({
    home,
    env: {},
    flags: { listen: ['/ip4/127.0.0.1/tcp/0'], set },
  })
  node = createNode({ home, config, sources, log: quietLogger() })
  const { multiaddrs } = await node.start(signal)
  hostile = await startTestNode({
    topics: [RULES],
    init: {
      services: {
        reconcile: reconcile({ networkName: 'test', admits: () => true, trust: ALLOW, log: quietLogger() }),
      },
    },
  })
  honest = newPublisher(Date.now())
  offered = new Map()
  hostile.gossip.subscribe('catalog', () => {})
  await hostile.libp2p.dial(multiaddr(multiaddrs[0] ?? ''))
  await eventually('they gossip', () => hostile.gossip.subscribers('catalog').length === 1)
})
afterEach(async () => {
  await hostile.stop()
  await node.stop()
  await rm(home, { recursive: true, force: true })
})

const offer = (...records: SignedBytes[]): void => {
  for (const signed of records) offered.set(randomBytes(32).toString('hex'), encodeSigned(signed))
}
const forged = ({ signed }: CatalogRecord): SignedBytes => ({
  payload: signed.payload,
  signature: new Uint8Array(randomBytes(64)),
})
const batch = (...records: SignedBytes[]): Uint8Array =>
  toBinary(BatchSchema, create(BatchSchema, { records }))
const figures = () => node.services().catalog.statistics()
const counted = (kind: string): number =>
  node
    .services()
    .trust.explain(hostile.peer)
    .totals.find((total) => total.kind === kind)?.count ?? 0

/** The set of the hostile peer: ids are whatever it says. */
function hostileSet(): ReconciledSet {
  return {
    name: 'catalog',
    maxEntryBytes: 8 * 1024,
    version: () => offered.size,
    ids: (after, limit) =>
      [...offered.keys()]
        .toSorted()
        .filter((id) => after === undefined || id > Buffer.from(after).toString('hex'))
        .slice(0, limit)
        .map((id) => Buffer.from(id, 'hex')),
    read: (id) => offered.get(Buffer.from(id).toString('hex')),
    take: async (entries) => entries.map(() => ({ verdict: 'refused', id: new Uint8Array(32) })),
  }
}

describe('a peer that lies about the catalogue', () => {
  it('by gossip is not heard, its messages count against it, and what it said is hidden', async () => {
    const say = (data: Uint8Array) => hostile.gossip.publish('catalog', data)
    const own = newPublisher(Date.now(), 'test', hostile.privateKey.raw.subarray(0, 32))
    // In another's name, though rightly signed: only publishers gossip their own.
    await say(batch(honest.entry().signed))
    await say(batch(forged(own.entry())))
    await say(randomBytes(200))
    await eventually('they were looked at', () => counted('message-invalid') === 3)
    expect(figures()).toMatchObject({ entries: 0, taken: 0 })
    // Of the future: nobody's fault, and not taken.
    await say(batch(own.entry({}, { atMs: Date.now() + DAY_MS }).signed))
    // Its own, as it should be, is taken.
    await say(batch(own.entry({ title: 'mine' }).signed))
    await eventually('it is there', () => figures().entries === 1)
    expect(counted('message-invalid')).toBe(3)
    await say(new Uint8Array(1))
    await eventually('it is no longer listened to', () => counted('message-invalid') === 4)
    const { decisions } = node.services().trust.explain(hostile.peer)
    expect(decisions.find(({ action }) => action === 'gossip')).toMatchObject({ allowed: false })
    // What was rightly signed before stays, and is not shown.
    await eventually('it is hidden', () => node.services().catalog.search({}).hidden.entries === 1, 20_000)
  })

  it('by anti-entropy gives nothing that it made up, and is told apart from one that gives what others signed', async () => {
    const service = (hostile.libp2p.services as unknown as { reconcile: Reconcile }).reconcile
    const set = hostileSet()
    service.register(set)
    const peer = node.ready().peerId
    const id = hostile.libp2p.getPeers().find((each) => each.toString() === peer)
    if (id === undefined) throw new Error('not connected')

    // Rightly signed by somebody who is not there.
    const entry = honest.entry({ address: `/ipfs/${SOME_CID}` })
    offered.set(Buffer.from(entry.id).toString('hex'), encodeSigned(entry.signed))
    await service.run(id, set, { signal })
    await eventually('it is there', () => figures().entries === 1)
    expect(counted('message-invalid') + counted('protocol-violation')).toBe(0)

    offer(forged(honest.entry()))
    await service.run(id, set, { signal }).catch(() => {})
    await eventually('it counts against the peer', () => figures().invalid > 0)
    await eventually('it is evidence', () => counted('message-invalid') + counted('protocol-violation') > 0)
    expect(figures().entries).toBe(1)

    // Another network's, expired, of the future: sound, and not kept.
    offered.clear()
    const elsewhere = newPublisher(Date.now(), 'other')
    offer(
      honest.entry({}, { atMs: 1, untilMs: 2 }).signed,
      honest.entry({}, { atMs: Date.now() + DAY_MS }).signed,
    )
    offer(elsewhere.entry().signed)
    await service.run(id, set, { signal }).catch(() => {})
    expect(figures().entries).toBe(1)
  })
})
