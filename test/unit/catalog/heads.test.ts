import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { signHead } from '../../../protocols/catalog/index.ts'
import { ed25519Signer } from '../../../protocols/shared/ed25519.ts'
import { type HeadDht, Heads } from '../../../src/catalog/heads.ts'
import { type Catalog, createCatalog } from '../../../src/catalog/index.ts'
import { ed25519FromSeed } from '../../../src/identity/ed25519.ts'
import { openState } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { parsePeer } from '../../../src/trust/index.ts'
import { DAY_MS, ENTRY } from '../../support/catalog.ts'
import { eventually, quietLogger } from '../../support/network.ts'

const seed = randomBytes(32)
const signer = ed25519Signer(seed)
const signal = AbortSignal.timeout(60_000)
const MINUTE_MS = 60_000

/** A DHT of one peer, which answers what the test says. */
class HeadsOfOthers {
  sequence: number | undefined
  asked = 0
  isThere = true
  readonly told: Uint8Array[] = []
  readonly network: HeadDht = {
    dht: { get: () => this.#get(), put: (_key: Uint8Array, value: Uint8Array) => this.#put(value) } as never,
    hasRoutes: () => this.isThere,
  }

  async *#get(): AsyncGenerator {
    this.asked += 1
    if (this.sequence === undefined) return
    yield { name: 'VALUE', value: head(this.sequence) }
  }

  async *#put(value: Uint8Array): AsyncGenerator {
    this.told.push(value)
    yield { name: 'PEER_RESPONSE', messageName: 'PUT_VALUE', record: {}, from: 'peer' }
  }
}

const head = (sequence: number): Uint8Array =>
  signHead(signer, 'test', { sequence, record: new Uint8Array(32).fill(sequence), atMs: 1_700_000_000_000 })

describe("the head of a node's own log", () => {
  const clock = { nowMs: 1_700_000_000_000 }
  const start = (others: HeadsOfOthers): Heads =>
    new Heads({
      networkName: 'test',
      signer,
      network: others.network,
      own: () => undefined,
      log: quietLogger(),
      now: () => clock.nowMs,
    })

  it('is looked for again where nobody had it, but not at once, and remembered where somebody had', async () => {
    const others = new HeadsOfOthers()
    const heads = start(others)
    const found = () => heads.find(signer.publicKey, signal)
    expect(await Promise.all([found(), found()])).toEqual([undefined, undefined])
    expect(others.asked).toBe(1)
    others.sequence = 40
    clock.nowMs += MINUTE_MS - 1
    expect(await found()).toBeUndefined()
    clock.nowMs += 1
    expect(await found()).toMatchObject({ sequence: 40 })
    clock.nowMs += DAY_MS
    others.isThere = false
    expect(await found()).toMatchObject({ sequence: 40 })
    expect(others.asked).toBe(2)
    await heads.stop()
  })

  it('is looked for as soon as there is anybody to ask', async () => {
    const others = new HeadsOfOthers()
    others.isThere = false
    const heads = start(others)
    expect(await heads.find(signer.publicKey, signal)).toBeUndefined()
    others.isThere = true
    others.sequence = 3
    expect(await heads.find(signer.publicKey, signal)).toMatchObject({ sequence: 3 })
    await heads.stop()
  })
})

describe('a log of which others know more', () => {
  let home: string
  let state: StateDatabase
  let catalog: Catalog
  let others: HeadsOfOthers
  let aheadMs = 0
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'p2pnode-heads-'))
    const log = quietLogger()
    state = await openState({ path: join(home, 'state.db'), log })
    const privateKey = ed25519FromSeed(seed)
    aheadMs = 0
    others = new HeadsOfOthers()
    catalog = createCatalog({
      networkName: 'test',
      identity: { privateKey, peerId: peerIdFromPrivateKey(privateKey) },
      state,
      trust: { decide: () => ({ allowed: true }), score: () => 0.5, isProven: () => false, report() {} },
      config: { receive: true, sizeBytes: 2 ** 26, lifetimeMs: 90 * DAY_MS },
      publicAddress: (text) => ({ text, isLink: false }),
      cidOf: () => undefined,
      parsePeer,
      log,
      now: () => Date.now() + aheadMs,
    })
    catalog.start({
      gossip: { publish: async () => 0, subscribe: () => () => {} },
      convergence: { register: () => () => {}, hasten() {} },
      reconcile: { run: () => Promise.reject(new Error('nobody is there')), peers: () => [] },
      heads: others.network,
      describe: async () => undefined,
    })
  })
  afterEach(async () => {
    await catalog.stop()
    await state.close()
    await rm(home, { recursive: true, force: true })
  })
  const publish = async (): Promise<number> =>
    (await catalog.publish({ title: 'one', address: ENTRY.address }, { signal })).entry.sequence

  it('goes on above what is found later', async () => {
    expect(await publish()).toBe(1)
    others.sequence = 40
    aheadMs = MINUTE_MS
    expect(await publish()).toBe(41)
    expect(await publish()).toBe(42)
  })

  it('goes on above what is heard while others are told', async () => {
    expect(await publish()).toBe(1)
    expect(others.asked).toBe(1)
    others.sequence = 40
    await eventually('the head was to be told', () => others.asked === 2)
    expect(others.told).toEqual([])
    // Also where nobody can be asked by then.
    others.isThere = false
    await eventually('it was heard', async () => (await publish()) === 41)
  })
})
