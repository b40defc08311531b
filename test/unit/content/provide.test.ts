import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { nextDueMs, retryAfterMs } from '../../../src/content/provide/schedule.ts'
import { RETRY_LIMIT_MS, RETRY_MS, SYNC_AFTER_MS } from '../../../src/content/provide/limits.ts'
import { until } from '../../support/content-node.ts'
import { cidOf, openProvideHouse, type ProvideHouse } from '../../support/provide.ts'

const { signal } = new AbortController()
const INTERVAL_MS = 22 * 3_600_000

describe('when a record is due again', () => {
  const digests = fc.uint8Array({ minLength: 32, maxLength: 32 })

  it('is after now and no later than the interval, and then always the interval apart', () => {
    fc.assert(
      fc.property(
        digests,
        fc.integer({ min: 0, max: 2 ** 45 }),
        fc.integer({ min: 1_000, max: 10 ** 9 }),
        (digest, nowMs, intervalMs) => {
          const dueMs = nextDueMs(digest, nowMs, intervalMs)
          expect(dueMs).toBeGreaterThan(nowMs)
          expect(dueMs).toBeLessThanOrEqual(nowMs + intervalMs)
          expect(nextDueMs(digest, dueMs, intervalMs)).toBe(dueMs + intervalMs)
          // Whenever within the round it was announced, the place is the same.
          expect(nextDueMs(digest, dueMs - 1, intervalMs)).toBe(dueMs)
        },
      ),
    )
  })

  it('spreads what was announced at once over the whole interval', () => {
    const hours = Array.from({ length: 22 }, () => 0)
    for (let index = 0; index < 22_000; index++) {
      const { digest } = cidOf(`root ${index}`).multihash
      const hour = Math.floor((nextDueMs(digest, 0, INTERVAL_MS) - 1) / 3_600_000)
      hours[hour] = (hours[hour] ?? 0) + 1
    }
    // 1 000 an hour; the standard deviation is 31.
    for (const count of hours) expect(Math.abs(count - 1_000)).toBeLessThan(200)
  })

  it('takes digests of any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 8 }), (digest) => {
        const dueMs = nextDueMs(digest, 1_000, 100)
        return dueMs > 1_000 && dueMs <= 1_100
      }),
    )
  })

  it('is tried again later and later, up to a limit', () => {
    expect([1, 2, 3].map(retryAfterMs)).toEqual([RETRY_MS, 2 * RETRY_MS, 4 * RETRY_MS])
    expect(retryAfterMs(1_000_000)).toBe(RETRY_LIMIT_MS)
  })
})

describe('the queue of provider records', () => {
  let house: ProvideHouse
  beforeEach(async () => {
    house = await openProvideHouse()
  })
  afterEach(() => house.close())

  const pin = (text: string): CID => {
    const cid = cidOf(text)
    house.pinned.push(cid)
    return cid
  }

  it('announces what is pinned, once, and again when it is due', async () => {
    const cid = pin('a')
    const provides = house.provides()
    provides.start()
    await until(() => provides.statistics().provided === 1)
    expect(house.announced).toEqual([cid.toString()])
    provides.add(cid)
    expect(provides.statistics()).toMatchObject({ records: 1, debtRecords: 0, running: 0 })
    house.clock.nowMs += INTERVAL_MS
    expect(provides.statistics()).toMatchObject({ debtRecords: 1 })
    house.meet()
    await until(() => provides.statistics().provided === 2)
    expect(provides.statistics()).toMatchObject({ debtRecords: 0, debtOldestMs: 0 })
  })

  it('waits for somebody to tell, and tells how far behind it is', async () => {
    house.network.peers = 0
    pin('a')
    const provides = house.provides()
    provides.start()
    await until(() => provides.statistics().records === 1)
    house.clock.nowMs += 5_000
    expect(provides.statistics()).toMatchObject({ records: 1, debtRecords: 1, debtOldestMs: 5_000 })
    house.network.peers = 1
    house.meet()
    await until(() => provides.statistics().debtRecords === 0)
  })

  it('goes on after a restart with what it had not done, and with nothing else', async () => {
    const first = pin('first')
    const provides = house.provides()
    provides.start()
    await until(() => provides.statistics().provided === 1)
    house.network.peers = 0
    const second = pin('second')
    const loose = cidOf('loose')
    house.held.add(loose.toString())
    provides.add(second)
    provides.add(loose)
    await house.restart()

    house.network.peers = 1
    const again = house.provides()
    again.start()
    await until(() => again.statistics().provided === 2)
    expect(house.announced.toSorted()).toEqual([first, second, loose].map(String).toSorted())
    expect(again.statistics()).toMatchObject({ records: 3, debtRecords: 0 })
  })

  it('takes roots first, then blocks, where all that is pinned is announced', async () => {
    house.references.push(...Array.from({ length: 600 }, (_, index) => cidOf(`block ${index}`, 0x55)))
    const root = pin('root')
    house.references.push(root)
    house.network.hasRoutes = false
    const provides = house.provides({ strategy: 'pinned', concurrency: 1, ratePerSecond: 100_000 })
    provides.start()
    await until(() => provides.statistics().records === 601)
    house.network.hasRoutes = true
    house.meet()
    await until(() => house.announced.length > 1)
    expect(house.announced[0]).toBe(root.toString())
  })

  it('announces nothing of its own where it is off, and withdraws what it announced before', async () => {
    const cid = pin('a')
    const on = house.provides()
    on.start()
    await until(() => on.statistics().provided === 1)
    await house.restart()
    const off = house.provides({ strategy: 'off' })
    off.start()
    off.add(cidOf('b'))
    await until(() => off.statistics().records === 0)
    expect(house.withdrawn).toEqual([cid.toString()])
    await off.provide(cid, { signal })
    expect(house.announced).toHaveLength(2)
    expect(off.statistics()).toMatchObject({ records: 0 })
  })

  it('tells nobody of what is private, also if it became so after it was queued', async () => {
    const cid = pin('secret')
    house.network.peers = 0
    const provides = house.provides()
    provides.start()
    await until(() => provides.statistics().records === 1)
    house.privates.add(cid.toString())
    house.network.peers = 1
    house.meet()
    await until(() => provides.statistics().records === 0)
    expect(house.announced).toEqual([])
    expect(house.withdrawn).toEqual([cid.toString()])
    expect(provides.statistics().refused.private).toBe(1)
    await expect(provides.provide(cid, { signal })).rejects.toMatchObject({ code: 'ERR_CONTENT_PRIVATE' })
  })

  it('withdraws at once what has become private, and takes it up again once it is public', async () => {
    const [secret, open, other] = [pin('secret'), pin('open'), cidOf('announced by hand')]
    const provides = house.provides()
    provides.start()
    await until(() => provides.statistics().provided === 2)
    await provides.provide(other, { signal })
    house.privates.add(secret.toString()).add(other.toString())
    // Below what was named there may be many blocks; only what was told of has to be taken back.
    provides.hide([cidOf('below'), secret, open, other], { isRoot: false })
    await until(() => provides.statistics().records === 1)
    provides.hide([other], { isRoot: true })
    await until(() => house.withdrawn.length === 2)
    expect(house.withdrawn).toEqual([secret, other].map(String))
    expect(provides.statistics().refused.private).toBe(1)

    house.privates.clear()
    provides.reconsider()
    await until(() => provides.statistics().provided === 4)
    expect(house.announced.at(-1)).toBe(secret.toString())
    expect(provides.statistics()).toMatchObject({ records: 2, debtRecords: 0 })
  })

  it('finds by itself what may not be told when it looks through what it has', async () => {
    const [secret, open] = [pin('secret'), pin('open')]
    const provides = house.provides()
    provides.start()
    await until(() => provides.statistics().provided === 2)
    house.privates.add(secret.toString())
    provides.reconsider()
    await until(() => house.withdrawn.length === 1)
    await provides.stop()
    expect(house.withdrawn).toEqual([secret.toString()])
    expect(house.announced.toSorted()).toEqual([secret, open].map(String).toSorted())
    expect(provides.statistics()).toMatchObject({ records: 1, refused: { private: 1 } })
  })

  it('tells no more of what becomes private on its way, and leaves no record of it', async () => {
    const [queued, asked] = [pin('queued'), cidOf('asked')]
    const ended: string[] = []
    house.network.provide = (cid, aborted) =>
      new Promise((resolve, reject) => {
        if (cid.equals(asked)) void until(() => house.privates.size === 2).then(() => resolve(1))
        aborted.addEventListener('abort', () => {
          ended.push(cid.toString())
          reject(aborted.reason as Error)
        })
      })
    const provides = house.provides()
    provides.start()
    await until(() => provides.statistics().running === 1)
    const providing = provides.provide(asked, { signal })
    house.privates.add(queued.toString()).add(asked.toString())
    provides.hide([queued], { isRoot: true })
    await expect(providing).rejects.toMatchObject({ code: 'ERR_CONTENT_PRIVATE' })
    await until(() => provides.statistics().running === 0)
    expect(ended).toEqual([queued.toString()])
    expect(house.withdrawn).toContain(queued.toString())
    // After it was announced, so that what kad-dht wrote down is gone.
    expect(house.withdrawn).toContain(asked.toString())
    expect(provides.statistics()).toMatchObject({ records: 0, provided: 0, failed: 0 })
  })

  it('takes up the blocks of a pin that comes while it walks through all, also those it has passed', async () => {
    house.network.hasRoutes = false
    house.references.push(...Array.from({ length: 2_000 }, (_, index) => cidOf(`block ${index}`, 0x55)))
    const provides = house.provides({ strategy: 'pinned' })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      provides.start()
      while (provides.statistics().records < 500) await turn()
      const root = pin('root')
      const lower = Array.from({ length: 10 }, (_, index) => cidOf(`lower ${index}`, 0x55))
      house.references.unshift(...lower)
      provides.add(root)
      vi.advanceTimersByTime(SYNC_AFTER_MS)
      expect(provides.statistics().records).toBeLessThan(2_000)
    } finally {
      vi.useRealTimers()
    }
    await until(() => provides.statistics().records === 2_011)
  })

  it('drops what is no longer pinned or held', async () => {
    house.network.peers = 0
    const [unpinned, gone, kept] = [pin('unpinned'), cidOf('gone'), cidOf('kept')]
    const provides = house.provides()
    provides.start()
    for (const cid of [unpinned, gone, kept]) provides.add(cid)
    house.pinned.length = 0
    house.held.add(unpinned.toString()).add(kept.toString())
    house.network.peers = 1
    house.meet()
    await until(() => provides.statistics().records === 1)
    await until(() => provides.statistics().provided === 1)
    expect(house.announced).toEqual([kept.toString()])
  })

  it('refuses hashes of which the DHT keeps no records', async () => {
    const provides = house.provides()
    provides.start()
    const odd = [
      CID.createV1(0x55, createDigest(0x1e, new Uint8Array(32))),
      CID.createV1(0x55, createDigest(0x13, new Uint8Array(64))),
      CID.createV1(0x55, createDigest(0x00, new Uint8Array(3))),
    ]
    for (const cid of odd) {
      provides.add(cid)
      await expect(provides.provide(cid, { signal })).rejects.toMatchObject({ code: 'ERR_PROVIDE_HASH' })
    }
    expect(provides.statistics()).toMatchObject({ records: 0, refused: { hash: 3 } })
  })

  it('counts as done only what somebody took, and puts the rest off', async () => {
    pin('a')
    house.network.provide = async () => 0
    const provides = house.provides()
    provides.start()
    await until(() => provides.statistics().failed === 1)
    expect(provides.statistics()).toMatchObject({ provided: 0, records: 1 })
    house.clock.nowMs += RETRY_MS - 1
    house.meet()
    house.network.provide = async () => 3
    house.clock.nowMs += 1
    house.meet()
    await until(() => provides.statistics().provided === 1)
    const failing = Promise.reject(new Error('no network'))
    house.network.provide = () => failing
    await expect(provides.provide(cidOf('a'), { signal })).rejects.toMatchObject({
      code: 'ERR_PROVIDE_FAILED',
    })
  })

  it('has no more under way than it may, and lets go of them at a stop', async () => {
    for (let index = 0; index < 20; index++) pin(`${index}`)
    let running = 0
    let most = 0
    house.network.provide = (_, aborted) =>
      new Promise((_resolve, reject) => {
        most = Math.max(most, ++running)
        aborted.addEventListener('abort', () => reject(aborted.reason as Error))
      })
    const provides = house.provides({ concurrency: 3 })
    provides.start()
    await until(() => running === 3)
    await provides.stop()
    expect(most).toBe(3)
    expect(house.announced).toEqual([])
  })
})
