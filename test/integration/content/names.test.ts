import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { afterEach, describe, expect, it } from 'vitest'
import type { Names, NamesOptions } from '../../../src/content/names/index.ts'
import { createNames, ipnsNamespace } from '../../../src/content/names/index.ts'
import { routingKey, signRecord } from '../../../src/content/names/record.ts'
import { knownRoutes } from '../../../src/network/index.ts'
import { openState } from '../../../src/storage/state/index.ts'
import { newName, rawRecord } from '../../support/names.ts'
import { eventually, quietLogger, startTestNode, stopAll, type TestNode } from '../../support/network.ts'

const A = '/ipfs/bafkqaaik'
const B = '/ipfs/bafkqaaim'
const signal = (): AbortSignal => AbortSignal.timeout(20_000)

let nodes: TestNode[] = []
let running: Names[] = []
afterEach(async () => {
  await Promise.all(running.map((names) => names.stop()))
  await stopAll(nodes)
  nodes = []
  running = []
})

interface House {
  node: TestNode
  names: Names
}

async function start(bootstrap: string[] = [], options: Partial<NamesOptions> = {}): Promise<House> {
  const node = await startTestNode({ network: { bootstrap }, init: { dhtNamespaces: [ipnsNamespace] } })
  nodes.push(node)
  const { dht } = node.libp2p.services
  const names = createNames({
    state: node.state,
    identity: node,
    dhts: [{ dht, hasRoutes: () => knownRoutes(dht) > 0 }],
    dnslink: [],
    log: node.log,
    pauseMs: 5,
    ...options,
  })
  names.start()
  running.push(names)
  return { node, names }
}

/** Names over state.db alone, as a node without a network has them. */
async function alone(home: string, privateKey: Ed25519PrivateKey, options: Partial<NamesOptions> = {}) {
  const log = quietLogger()
  const state = await openState({ path: join(home, 'state.db'), log })
  const names = createNames({ state, identity: { privateKey }, dhts: [], dnslink: [], log, ...options })
  return { names, state }
}

const routes = ({ node }: House): number => knownRoutes(node.libp2p.services.dht)

async function three(): Promise<[House, House, House]> {
  const b = await start()
  const [a, c] = [await start([b.node.address]), await start([b.node.address])]
  await eventually('all know each other', () => [a, b, c].every((house) => routes(house) === 2))
  return [a, b, c]
}

describe('names between nodes', () => {
  it('are published on one node and found on another, and the newest wins', async () => {
    const [a, , c] = await three()
    const first = await a.names.publish({ address: A, signal: signal() })
    expect(first).toMatchObject({ key: 'self', value: A, sequence: 1n, told: 2, problem: null })
    expect((await c.names.resolve(first.name, { signal: signal() })).path).toBe(A)
    // By its peer id too.
    expect((await c.names.resolve(`${a.node.peer}/dir/file`, { signal: signal() })).path).toBe(
      `${A}/dir/file`,
    )

    const second = await a.names.publish({ address: `${B}/x`, signal: signal() })
    expect(second.sequence).toBe(2n)
    // Kept for its ttl, unless one insists.
    expect((await c.names.resolve(first.name, { signal: signal() })).path).toBe(A)
    expect((await c.names.resolve(first.name, { signal: signal(), maxAgeMs: 0 })).path).toBe(`${B}/x`)
    expect((await c.names.record(first.name, { signal: signal(), offline: true })).sequence).toBe(2n)
  }, 30_000)

  it('are not put back by an older record, whoever sends it', async () => {
    const [a, b, c] = await three()
    const { key, name } = await newName()
    const older = await signRecord(key, { value: A, sequence: 1n, lifetimeMs: 3_600_000, ttlMs: 0 })
    const newer = await signRecord(key, { value: B, sequence: 2n, lifetimeMs: 3_600_000, ttlMs: 0 })
    const options = { keep: false, signal: signal() }
    expect(await a.names.import(name.text, newer, options)).toMatchObject({ told: 2, sequence: 2n })
    await expect(b.names.import(name.text, older, options)).rejects.toMatchObject({
      code: 'ERR_RECORD_OUTDATED',
    })
    // Straight into the DHT, past our own check: those who keep the newer one keep it.
    for await (const event of c.node.libp2p.services.dht.put(routingKey(name), older, { signal: signal() }))
      expect(event.name).not.toBe('QUERY_ERROR')
    for (const house of [a, b]) {
      expect((await house.names.record(name.text, { signal: signal(), maxAgeMs: 0 })).sequence).toBe(2n)
    }
  }, 30_000)

  it('are told again by a node that could reach nobody, as soon as somebody is there', async () => {
    const b = await start()
    const a = await start()
    const early = await a.names.publish({ address: A, signal: signal() })
    expect(early.told).toBe(0)
    expect(early.problem).not.toBeNull()
    const offline = await a.names.publish({ address: B, offline: true, signal: signal() })
    expect(offline.sequence).toBe(2n)
    await a.node.network.connect(b.node.address, signal())
    await eventually("they are in each other's tables", () => routes(a) === 1 && routes(b) === 1)
    a.names.wake()
    await eventually('the network was told', () => a.names.published()[0]?.told === 1)
    expect((await b.names.resolve(early.name, { signal: signal() })).path).toBe(B)
  }, 30_000)

  it('take a number above the one that the network has of the key', async () => {
    const [a, , c] = await three()
    const key = a.node.privateKey
    const elsewhere = await rawRecord(key, { Sequence: 41n })
    const { name } = a.names.keys()[0]!
    await c.names.import(name, elsewhere, { keep: false, signal: signal() })
    expect((await a.names.publish({ address: A, signal: signal() })).sequence).toBe(42n)
  }, 30_000)

  it('say that another node publishes under their key, and leave its record alone', async () => {
    const [a, , c] = await three()
    const { name } = await a.names.publish({ address: A, signal: signal() })
    const elsewhere = await rawRecord(a.node.privateKey, { Sequence: 9n })
    await c.names.import(name, elsewhere, { keep: false, signal: signal() })
    a.node.state.db.prepare('UPDATE name_record SET next_ms = 0').run()
    a.names.wake()
    await eventually(
      'it was noticed',
      () => a.names.published()[0]?.problem?.includes('another node') === true,
    )
    expect((await c.names.record(name, { signal: signal(), maxAgeMs: 0 })).sequence).toBe(9n)
  }, 30_000)

  it('are imported, told again while they are valid, and not after', async () => {
    const b = await start()
    const a = await start([b.node.address])
    await eventually('they know each other', () => routes(a) === 1 && routes(b) === 1)
    const { key, name } = await newName()
    const record = await signRecord(key, { value: A, sequence: 7n, lifetimeMs: 3_600_000, ttlMs: 0 })
    const imported = await a.names.import(name.text, record, { keep: true, signal: signal() })
    expect(imported).toEqual({
      name: name.text,
      value: A,
      sequence: 7n,
      validUntilMs: expect.any(Number),
      told: 1,
    })
    // The other node forgets, and is told again.
    b.node.state.db.exec("DELETE FROM datastore WHERE key LIKE '/dht/record%'; DELETE FROM name_record")
    a.node.state.db.prepare('UPDATE name_record SET next_ms = 0').run()
    a.names.wake()
    await eventually('it was told again', async () => {
      return (await b.names.record(name.text, { signal: signal() }).catch(() => undefined))?.sequence === 7n
    })
  }, 30_000)
})

describe('names of one node', () => {
  let homes: string[] = []
  afterEach(async () => {
    await Promise.all(homes.map((home) => rm(home, { recursive: true, force: true })))
    homes = []
  })

  async function folder(): Promise<{ home: string; privateKey: Ed25519PrivateKey }> {
    const home = await mkdtemp(join(tmpdir(), 'p2pnode-names-'))
    homes.push(home)
    return { home, privateKey: await generateKeyPair('Ed25519') }
  }

  it('never use a number twice, over restarts and after a crash between number and record', async () => {
    const { home, privateKey } = await folder()
    const numbers: bigint[] = []
    for (let round = 0; round < 3; round++) {
      const { names, state } = await alone(home, privateKey)
      numbers.push((await names.publish({ address: A, signal: signal() })).sequence)
      // A crash right after a number was given out leaves it used up.
      await state.write(() => state.db.exec('UPDATE name_sequence SET sequence = sequence + 1'))
      await names.stop()
      await state.close()
    }
    expect(numbers).toEqual([1n, 3n, 5n])
  })

  it('are published one after the other, however they are asked for', async () => {
    const { home, privateKey } = await folder()
    const { names, state } = await alone(home, privateKey)
    const published = await Promise.all(
      Array.from({ length: 12 }, (_, at) =>
        names.publish({ address: at % 2 === 0 ? A : B, signal: signal() }),
      ),
    )
    const sequences = published.map(({ sequence }) => Number(sequence))
    expect(new Set(sequences).size).toBe(12)
    expect(names.published()).toHaveLength(1)
    expect(names.published()[0]).toMatchObject({ sequence: 12n })
    await state.close()
  })

  it('have further keys, which are sealed under the identity', async () => {
    const { home, privateKey } = await folder()
    const { names, state } = await alone(home, privateKey)
    const key = await names.createKey('releases')
    expect(names.keys().map((each) => each.key)).toEqual(['self', 'releases'])
    await expect(names.createKey('releases')).rejects.toMatchObject({ code: 'ERR_KEY_EXISTS' })
    for (const wrong of ['', 'a/b', '.hidden', 'x'.repeat(64)])
      await expect(names.createKey(wrong)).rejects.toMatchObject({ code: 'ERR_KEY_NAME_INVALID' })
    await expect(names.createKey('self')).rejects.toMatchObject({ code: 'ERR_KEY_EXISTS' })
    const published = await names.publish({ address: A, key: 'releases', signal: signal() })
    expect(published.name).toBe(key.name)
    expect((await names.resolve(key.name, { signal: signal(), offline: true })).path).toBe(A)
    await state.close()

    // Under another identity it cannot be opened.
    const other = await alone(home, await generateKeyPair('Ed25519'))
    await expect(
      other.names.publish({ address: B, key: 'releases', signal: signal() }),
    ).rejects.toMatchObject({ code: 'ERR_KEY_UNREADABLE' })
    await other.state.close()

    const again = await alone(home, privateKey)
    expect((await again.names.publish({ address: B, key: 'releases', signal: signal() })).sequence).toBe(2n)
    await again.names.removeKey('releases')
    expect(again.names.published()).toEqual([])
    await expect(
      again.names.publish({ address: B, key: 'releases', signal: signal() }),
    ).rejects.toMatchObject({ code: 'ERR_KEY_NOT_FOUND' })
    await expect(again.names.removeKey('self')).rejects.toMatchObject({ code: 'ERR_KEY_NAME_INVALID' })
    await again.state.close()
  })

  it('refuse private content, loops, and times out of bounds; nothing is signed then', async () => {
    const { home, privateKey } = await folder()
    const { names, state } = await alone(home, privateKey, {
      isPrivate: (cid) => cid.toString() === 'bafkqaaik',
    })
    const publish = (address: string, more = {}) => names.publish({ address, signal: signal(), ...more })
    await expect(publish(`${A}/file`)).rejects.toMatchObject({
      code: 'ERR_CONTENT_PRIVATE',
      kind: 'conflict',
    })
    const { name } = names.keys()[0]!
    await expect(publish(`/ipns/${name}/x`)).rejects.toMatchObject({ code: 'ERR_NAME_LOOP' })
    await expect(publish('nonsense')).rejects.toMatchObject({ code: 'ERR_ADDRESS_INVALID' })
    await expect(publish('/ipns/nonsense')).rejects.toMatchObject({ code: 'ERR_NAME_INVALID' })
    for (const wrong of [{ lifetimeMs: 1 }, { lifetimeMs: 1e15 }, { lifetimeMs: Number.NaN }, { ttlMs: -1 }])
      await expect(publish(B, wrong)).rejects.toMatchObject({ code: 'ERR_LIFETIME_INVALID' })
    expect(names.published()).toEqual([])
    expect((await publish(B)).sequence).toBe(1n)
    await state.close()
  })

  it('end with the highest number', async () => {
    const { home, privateKey } = await folder()
    const { names, state } = await alone(home, privateKey)
    const { name } = names.keys()[0]!
    const last = await rawRecord(privateKey, { Sequence: 2n ** 64n - 1n })
    await names.import(name, last, { keep: false, signal: signal() })
    await expect(names.publish({ address: A, signal: signal() })).rejects.toMatchObject({
      code: 'ERR_SEQUENCE_EXHAUSTED',
    })
    await state.close()
  })

  it('refuse records that are wrong, and keep what they had', async () => {
    const { home, privateKey } = await folder()
    const { names, state } = await alone(home, privateKey)
    const { key, name } = await newName()
    const options = { keep: true, signal: signal() }
    await names.import(name.text, await rawRecord(key, { Sequence: 5n }), options)
    const stranger = await newName()
    for (const [bytes, code] of [
      [new Uint8Array(), 'ERR_RECORD_INVALID'],
      [new Uint8Array(20_000), 'ERR_RECORD_INVALID'],
      [await rawRecord(stranger.key, { Sequence: 6n }), 'ERR_RECORD_INVALID'],
      [await rawRecord(key, { Sequence: 4n }), 'ERR_RECORD_OUTDATED'],
    ] as const)
      await expect(names.import(name.text, bytes, options)).rejects.toMatchObject({ code })
    // The same again is no news and no harm.
    await names.import(name.text, await rawRecord(key, { Sequence: 5n }), options)
    expect((await names.record(name.text, { offline: true, signal: signal() })).sequence).toBe(5n)
    await expect(names.record('example.org', { signal: signal() })).rejects.toMatchObject({
      code: 'ERR_NAME_NOT_FOUND',
    })
    await state.close()
  })
})
