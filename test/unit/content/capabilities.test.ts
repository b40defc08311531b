import { randomBytes } from 'node:crypto'
import type { CID } from 'multiformats/cid'
import { describe, expect, it } from 'vitest'
import { RootFilter } from '../../../protocols/content/index.ts'
import type { Capabilities } from '../../../protocols/content/types.ts'
import { CapabilityBook } from '../../../src/content/capabilities/book.ts'
import { bandwidthTold, createCapabilities, ipfsSide } from '../../../src/content/capabilities/index.ts'
import {
  MAX_FILTERS_BYTES,
  MAX_FILTERS_PER_INTERVAL,
  MAX_PEERS,
} from '../../../src/content/capabilities/limits.ts'
import { OwnFilter } from '../../../src/content/capabilities/own-filter.ts'
import type { Pin } from '../../../src/storage/types.ts'
import { quiet } from '../../support/content.ts'
import { rawCid } from '../../support/content-protocol.ts'
import { eventually } from '../../support/network.ts'

const never = new AbortController().signal
const someCid = (): CID => rawCid(randomBytes(8))

function told(filter: Capabilities['filter']): Capabilities {
  return {
    did: '',
    role: 'worker',
    versions: {},
    ipfs: 'none',
    gatewayUrl: null,
    addresses: [],
    bandwidthBytesPerSecond: null,
    freeBytes: 0,
    filter,
  }
}

describe('the book of capabilities', () => {
  it('asks for a filter only where it has another one, and goes by the old one meanwhile', async () => {
    const book = new CapabilityBook()
    const root = someCid()
    const [first, second] = [someCid(), someCid()]
    expect(book.told('a', told({ cid: first, bytes: 1 }))?.cid).toBe(first)
    book.keepFilter('a', first, await RootFilter.build([root], 1, never))
    expect(book.told('a', told({ cid: first, bytes: 1 }))).toBeNull()
    expect(book.claims('a', root)).toBe('yes')
    expect(book.claims('a', someCid())).toBe('no')
    expect(book.told('a', told({ cid: second, bytes: 1 }))?.cid).toBe(second)
    expect(book.claims('a', root)).toBe('yes')
    book.keepFilter('a', second, undefined)
    expect(book.claims('a', root)).toBe('unknown')
    expect(book.told('a', told({ cid: second, bytes: 1 }))).toBeNull()
  })

  it('lets a peer change its filter only so often', () => {
    const book = new CapabilityBook()
    book.told('a', told({ cid: someCid(), bytes: 1 }))
    const turns = Array.from({ length: 10 }, () => book.takeTurn('a', 60_000))
    expect(turns.filter(Boolean)).toHaveLength(MAX_FILTERS_PER_INTERVAL)
    expect(book.takeTurn('unknown', 60_000)).toBe(false)
  })

  it('forgets who told longest ago', () => {
    const book = new CapabilityBook()
    for (let peer = 0; peer <= MAX_PEERS; peer += 1) book.told(String(peer), told(null))
    expect(book.size).toBe(MAX_PEERS)
    expect(book.of('0')).toBeUndefined()
    expect(book.of(String(MAX_PEERS))).toBeDefined()
  })

  it('keeps filters up to their bound', () => {
    const book = new CapabilityBook()
    const filter = { bytes: 64 * 1024, mayHave: () => true } as unknown as RootFilter
    const count = MAX_FILTERS_BYTES / filter.bytes + 10
    for (let peer = 0; peer < count; peer += 1) {
      const cid = someCid()
      book.told(String(peer), told({ cid, bytes: 1 }))
      book.keepFilter(String(peer), cid, filter)
    }
    const claims = Array.from({ length: count }, (_, peer) => book.claims(String(peer), someCid()))
    expect(claims.filter((claim) => claim === 'yes')).toHaveLength(MAX_FILTERS_BYTES / filter.bytes)
    expect(claims.at(-1)).toBe('yes')
  })
})

describe("a node's own filter", () => {
  const pinned: Pin[] = []
  const secret = someCid()
  const pin = (cid: CID, state: Pin['state'] = 'pinned'): void =>
    void pinned.push({ cid, name: '', kind: 'recursive', state, createdAtMs: 0 })
  const filter = new OwnFilter({
    did: 'did:key:z',
    privateMark: { isPrivate: (cid) => cid.equals(secret) },
    pins: {
      list: ({ limit = 1, afterId = 0 } = {}) => {
        const next = afterId + limit
        return { pins: pinned.slice(afterId, next), nextAfterId: next < pinned.length ? next : null }
      },
    },
  })
  const none = { get: async () => undefined, has: async () => false }

  it('holds what is pinned, but nothing private, and is served with the one before', async () => {
    expect(filter.reference).toBeNull()
    const shown = someCid()
    const unfinished = someCid()
    pin(shown)
    pin(secret)
    pin(unfinished, 'pinning')
    for (let more = 0; more < 2_500; more += 1) pin(someCid())
    await filter.rebuild(never)
    const first = filter.reference!
    const blocks = filter.serving(none)
    const read = await RootFilter.decode((await blocks.get(first.cid, { signal: never }))!)
    expect(read.mayHave(shown)).toBe(true)
    expect(pinned.filter(({ cid }) => read.mayHave(cid)).length).toBeGreaterThanOrEqual(2_501)
    // 1 % of others are taken for held, these two hardly ever both.
    expect([secret, unfinished].every((cid) => read.mayHave(cid))).toBe(false)

    await filter.rebuild(never)
    expect(filter.reference).toEqual(first)
    pin(someCid())
    await filter.rebuild(never)
    expect(filter.reference!.cid.equals(first.cid)).toBe(false)
    expect(await blocks.has(first.cid)).toBe(true)
    expect(await blocks.has(filter.reference!.cid)).toBe(true)
    expect(await blocks.has(shown)).toBe(false)
  })

  it('is served no more once something in it is private, nor is the one before', async () => {
    const [one, other] = [someCid(), someCid()]
    const roots = [one]
    const privates = new Set<CID>()
    const own = new OwnFilter({
      did: 'did:key:z',
      privateMark: { isPrivate: (cid) => privates.has(cid) },
      pins: {
        list: () => ({
          pins: roots.map((cid) => ({ cid, name: '', kind: 'recursive', state: 'pinned', createdAtMs: 0 })),
          nextAfterId: null,
        }),
      },
    })
    const blocks = own.serving(none)
    await own.rebuild(never)
    const first = own.reference!.cid
    roots.push(other)
    await own.rebuild(never)
    const second = own.reference!.cid
    expect([await blocks.has(first), await blocks.has(second)]).toEqual([true, true])
    expect([own.mayTellOf([one]), own.mayTellOf([someCid()])]).toEqual([true, false])

    privates.add(one)
    own.marksChanged()
    expect(await blocks.has(first)).toBe(false)
    await own.rebuild(never)
    const third = own.reference!.cid
    expect([await blocks.has(second), await blocks.has(third)]).toEqual([false, true])

    // One that was begun before the mark may hold what it is about: it is not kept for those who come late.
    roots.push(someCid())
    const making = own.rebuild(never)
    privates.add(other)
    own.marksChanged()
    await making
    const fourth = own.reference!.cid
    await own.rebuild(never)
    expect([await blocks.has(third), await blocks.has(fourth)]).toEqual([false, false])
    expect(own.mayTellOf([one, other])).toBe(false)
  })

  it('without what is private waits for no turn, but peers are told in theirs', async () => {
    const root = someCid()
    const privates = new Set<CID>()
    let asked = 0
    const capabilities = createCapabilities({
      pins: {
        list: () => ({
          pins: [{ cid: root, name: '', kind: 'recursive', state: 'pinned', createdAtMs: 0 }],
          nextAfterId: null,
        }),
        onChange: () => () => {},
      },
      privateMark: { isPrivate: (cid) => privates.has(cid) },
      did: 'did:key:z',
      own: () => told(null),
      intervalMs: 3_600_000,
      trust: { report: () => {} },
      log: quiet,
      times: { settleMs: 0, filterIntervalMs: 0 },
    })
    const peers = () => [{ toString: () => 'peer' }]
    const exchangeCapabilities = async () => {
      asked += 1
      return told(null)
    }
    capabilities.start({ peers, exchangeCapabilities } as never)
    await eventually('it is made', () => asked === 1)
    // The first change is told at once, and the next ones wait for an hour.
    for (const isPrivate of [true, false, true]) {
      const before = capabilities.init.own().filter!
      if (isPrivate) privates.add(root)
      else privates.clear()
      capabilities.marksChanged(isPrivate ? [root] : undefined)
      await eventually(
        'it is made anew',
        () => capabilities.init.own().filter?.cid.equals(before.cid) === false,
      )
      expect(await capabilities.serving(none).has(before.cid)).toBe(false)
    }
    expect(asked).toBe(2)
    const { cid } = capabilities.init.own().filter!
    capabilities.marksChanged([someCid()])
    expect(capabilities.init.own().filter?.cid).toEqual(cid)
    capabilities.stop()
  })

  it('is made anew when what may be told of changes', async () => {
    const [one, other] = [someCid(), someCid()]
    const pins = [one, other].map(
      (cid): Pin => ({ cid, name: '', kind: 'recursive', state: 'pinned', createdAtMs: 0 }),
    )
    const listed = new Set<CID>()
    let changed = (): void => {}
    const capabilities = createCapabilities({
      pins: { list: () => ({ pins, nextAfterId: null }), onChange: () => () => {} },
      privateMark: { isPrivate: (cid) => listed.has(cid) },
      onMarkChange(listener) {
        changed = listener
        return () => {}
      },
      did: 'did:key:z',
      own: () => told(null),
      intervalMs: 0,
      trust: { report: () => {} },
      log: quiet,
      times: { settleMs: 0, filterIntervalMs: 0 },
    })
    capabilities.start({ peers: () => [] } as never)
    const now = async (): Promise<RootFilter> => {
      const block = capabilities.init.own().filter!
      return RootFilter.decode((await capabilities.serving(none).get(block.cid, { signal: never }))!)
    }
    await eventually('it is made', () => capabilities.init.own().filter !== null)
    expect((await now()).mayHave(one)).toBe(true)
    listed.add(one)
    changed()
    await eventually('it is made without it', async () => !(await now()).mayHave(one))
    expect((await now()).mayHave(other)).toBe(true)
    capabilities.stop()
  })
})

describe('what a node tells of itself', () => {
  it('is the least of what limits it, and how it reaches IPFS', () => {
    const free = { outBytesPerSecond: Infinity }
    const limits = { global: free, perPeer: free, protocols: { content: free } }
    expect(bandwidthTold(limits)).toBeNull()
    expect(bandwidthTold({ ...limits, perPeer: { outBytesPerSecond: 10.5 } })).toBe(10)
    expect(ipfsSide({ ipfs: true, gateways: true })).toBe('helia')
    expect(ipfsSide({ ipfs: false, gateways: true })).toBe('gateway-only')
    expect(ipfsSide({ ipfs: false, gateways: false })).toBe('none')
  })
})
