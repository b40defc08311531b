import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createNames, type NameDht, type Names } from '../../../src/content/names/index.ts'
import { signRecord } from '../../../src/content/names/record.ts'
import { openState } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { ask, openGateway } from '../../support/gateway.ts'
import { newName } from '../../support/names.ts'
import { eventually, quietLogger } from '../../support/network.ts'

const ROOT = 'bafkqaaik'
const A = `/ipfs/${ROOT}`
const B = '/ipfs/bafkqaaim'
const signal = (): AbortSignal => AbortSignal.timeout(20_000)

/** A DHT in which one peer takes everything; what is looked for is held up where the test says so. */
class OnePeerDht {
  puts = 0
  gets = 0
  held: Promise<void> | undefined
  readonly dht = {
    get: () => this.#get(),
    put: () => this.#put(),
  } as unknown as NameDht['dht']

  async *#get(): AsyncGenerator<never> {
    this.gets += 1
    await this.held
    yield* []
  }

  async *#put(): AsyncGenerator {
    this.puts += 1
    yield { name: 'PEER_RESPONSE', messageName: 'PUT_VALUE', record: {}, from: 'peer' }
  }
}

let home: string
let state: StateDatabase
let network: OnePeerDht
let names: Names
const privates = new Set<string>()

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'p2pnode-names-'))
  const log = quietLogger()
  state = await openState({ path: join(home, 'state.db'), log })
  network = new OnePeerDht()
  privates.clear()
  names = createNames({
    state,
    identity: { privateKey: await generateKeyPair('Ed25519') },
    dhts: [{ dht: network.dht, hasRoutes: () => true }],
    dnslink: [],
    isPrivate: (cid) => privates.has(cid.toString()),
    pauseMs: 5,
    log,
  })
  names.start()
})
afterEach(async () => {
  await names.stop()
  await state.close()
  await rm(home, { recursive: true, force: true })
})

const isDue = (): boolean =>
  state.db.prepare('SELECT 1 FROM name_record WHERE next_ms = 0').get() !== undefined
function makeDue(): void {
  state.db.prepare('UPDATE name_record SET next_ms = 0').run()
  names.wake()
}

describe('a name whose content becomes private', () => {
  it('is neither told again nor signed anew, until it is public again', async () => {
    const { name, sequence } = await names.publish({ address: A, signal: signal() })
    expect(network.puts).toBe(1)
    privates.add(ROOT)
    // So near to its end that it would be signed anew.
    state.db.prepare('UPDATE name_published SET lifetime_ms = ?').run(1000 * 86_400_000)
    const { gets } = network
    makeDue()
    await eventually('its turn is over', () => !isDue())
    expect([network.puts, network.gets]).toEqual([1, gets])
    expect(names.published()).toMatchObject([{ name, sequence }])
    await expect(names.record(name, { signal: signal() })).rejects.toMatchObject({
      code: 'ERR_NAME_NOT_FOUND',
    })

    privates.clear()
    makeDue()
    await eventually('it is told again', () => network.puts === 2)
    expect((await names.record(name, { signal: signal() })).sequence).toBe(sequence + 1n)
  })

  it('while the network is asked is not told of either', async () => {
    const { key, name } = await newName()
    const record = await signRecord(key, { value: B, sequence: 7n, lifetimeMs: 3_600_000, ttlMs: 0 })
    await names.publish({ address: A, signal: signal() })
    await names.import(name.text, record, { keep: true, signal: signal() })
    expect(network.puts).toBe(2)
    const hold = Promise.withResolvers<void>()
    network.held = hold.promise
    const { gets } = network
    makeDue()
    const publishing = names.publish({
      address: A,
      key: (await names.createKey('other')).key,
      signal: signal(),
    })
    await eventually('one of each is asked for', () => network.gets >= gets + 2)
    for (const cid of [ROOT, 'bafkqaaim']) privates.add(cid)
    hold.resolve()
    await expect(publishing).rejects.toMatchObject({ code: 'ERR_CONTENT_PRIVATE' })
    await eventually('all had their turn', () => !isDue())
    expect(network.puts).toBe(2)
    expect(names.published()).toHaveLength(1)
  })

  it('has no record at the gateway, as one that nobody knows', async () => {
    const { name } = await names.publish({ address: A, offline: true, signal: signal() })
    const bench = await openGateway({ names })
    try {
      const record = (of: string) => ask(bench.port, `/ipns/${of}?format=ipns-record`)
      expect((await record(name)).status).toBe(200)
      privates.add(ROOT)
      const hidden = await record(name)
      const unknown = (await newName()).name.text
      const none = await record(unknown)
      expect([hidden.status, none.status]).toEqual([404, 404])
      expect(hidden.text.replaceAll(name, unknown)).toBe(none.text)
    } finally {
      await bench.close()
    }
  })
})

describe('a key that is removed while it publishes', () => {
  it('leaves nothing published', async () => {
    await names.createKey('k')
    const hold = Promise.withResolvers<void>()
    network.held = hold.promise
    const publishing = names.publish({ address: A, key: 'k', signal: signal() })
    await eventually('the network is asked', () => network.gets === 1)
    const removing = names.removeKey('k')
    const late = names.publish({ address: B, key: 'k', signal: signal() })
    hold.resolve()
    expect((await publishing).sequence).toBe(1n)
    await removing
    await expect(late).rejects.toMatchObject({ code: 'ERR_KEY_NOT_FOUND' })
    expect(names.published()).toEqual([])
    expect(names.keys().map(({ key }) => key)).toEqual(['self'])
    // What is left is a record that was seen: nobody is told of it again.
    expect(state.db.prepare('SELECT next_ms FROM name_record').pluck().all()).toEqual([null])
  })

  it('takes back what is being published, rather than saying that nothing is', async () => {
    const hold = Promise.withResolvers<void>()
    network.held = hold.promise
    const publishing = names.publish({ address: A, signal: signal() })
    const unpublishing = names.unpublish('self')
    hold.resolve()
    await publishing
    await unpublishing
    expect(names.published()).toEqual([])
    await expect(names.unpublish('self')).rejects.toMatchObject({ code: 'ERR_NAME_NOT_FOUND' })
  })
})
