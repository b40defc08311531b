import { MemoryDatastore } from 'datastore-core'
import type { CID } from 'multiformats/cid'
import { afterEach, describe, expect, test } from 'vitest'
import { groupCid } from '../../../../protocols/chunk/format/index.ts'
import { Announcer } from '../../../../src/vault/locate/announcer.ts'
import { eventually, quietLogger } from '../../../support/network.ts'

const HOUR_MS = 3_600_000
const group = (number: number): Uint8Array => {
  const bytes = Buffer.alloc(32)
  bytes.writeUInt32BE(number)
  return bytes
}
const name = (number: number): string => groupCid(group(number)).toString()

class House {
  readonly provided: string[] = []
  readonly withdrawn: string[] = []
  readonly datastore = new MemoryDatastore()
  held: Uint8Array[] = []
  peers = 1
  nowMs = 1_000 * HOUR_MS
  onProvide: (() => Promise<void>) | undefined
  pages = 0

  announcer(): Announcer {
    return new Announcer({
      libp2p: {
        contentRouting: {
          provide: async (cid: CID) => {
            this.provided.push(cid.toString())
            await this.onProvide?.()
          },
          cancelReprovide: async (cid: CID) => {
            this.withdrawn.push(cid.toString())
          },
        },
        getPeers: () => Array.from({ length: this.peers }),
        addEventListener() {},
        removeEventListener() {},
      } as never,
      hasRoutes: () => this.peers > 0,
      listGroups: (after, limit) => {
        this.pages += 1
        return this.held.filter((id) => after === undefined || Buffer.compare(id, after) > 0).slice(0, limit)
      },
      datastore: this.datastore,
      log: quietLogger(),
      now: () => this.nowMs,
    })
  }
}

const running: Announcer[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((announcer) => announcer.stop()))
})

function start(house: House): Announcer {
  const announcer = house.announcer()
  running.push(announcer)
  announcer.start()
  return announcer
}

describe('announcing groups', () => {
  test('everything held at the first start, in pages, each once', async () => {
    const house = new House()
    house.held = Array.from({ length: 260 }, (_, number) => group(number))
    house.onProvide = async () => {}
    start(house)
    await eventually('all are announced', () => house.provided.length === 260, 60_000)
    expect(new Set(house.provided).size).toBe(260)
    expect(house.pages).toBeLessThanOrEqual(3)
  }, 60_000)

  test('a new one soon, before the rest of a round', async () => {
    const house = new House()
    house.held = [1, 2, 3, 4, 5, 6].map(group)
    const first = Promise.withResolvers<void>()
    house.onProvide = () => first.promise
    const announcer = start(house)
    await eventually('the first is on its way', () => house.provided.length === 1)
    announcer.announce(group(99))
    first.resolve()
    await eventually('the new one comes next', () => house.provided.length >= 2)
    expect(house.provided[1]).toBe(name(99))
  })

  test('waits while nobody is connected, and forgets what was withdrawn meanwhile', async () => {
    const house = new House()
    house.peers = 0
    const announcer = start(house)
    announcer.announce(group(1))
    announcer.announce(group(2))
    announcer.withdraw(group(1))
    expect(house.withdrawn).toEqual([name(1)])
    house.peers = 1
    await eventually('the other is announced', () => house.provided.length > 0)
    expect(house.provided).toEqual([name(2)])
  })

  test('a restart between rounds announces only what waited; after the interval all again', async () => {
    const house = new House()
    house.held = [group(1)]
    const first = start(house)
    await eventually('the round is over', async () => house.provided.length === 1 && house.pages >= 2)
    house.peers = 0
    first.announce(group(2))
    await first.stop()
    house.peers = 1
    house.provided.length = 0
    house.nowMs += HOUR_MS
    const second = start(house)
    await eventually('what waited is announced', () => house.provided.length > 0)
    await second.stop()
    expect(house.provided).toEqual([name(2)])
    house.nowMs += 20 * HOUR_MS
    start(house)
    await eventually('a new round', () => house.provided.includes(name(1)))
  })

  test('after a crash a new round finds what waited', async () => {
    const house = new House()
    house.held = [1, 2].map(group)
    const crashed = start(house)
    await eventually('the round is over', () => house.provided.length === 2 && house.pages >= 2)
    // Nothing is kept of it, as when the process ends.
    const after = new House()
    for await (const pair of house.datastore.query({})) await after.datastore.put(pair.key, pair.value)
    after.held = [1, 2, 3].map(group)
    start(after)
    await eventually('all are announced again', () => after.provided.length === 3)
    await crashed.stop()
  })

  test('a record that cannot be sent does not hold up the others', async () => {
    const house = new House()
    house.held = [1, 2].map(group)
    house.onProvide = async () => {
      if (house.provided.length === 1) throw new Error('no route')
    }
    start(house)
    await eventually('the second is tried', () => house.provided.length === 2)
  })
})
