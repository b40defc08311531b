import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { signRecord } from '../../../protocols/catalog/index.ts'
import type { CatalogRecord } from '../../../protocols/catalog/types.ts'
import { MAX_PUBLISHERS, MAX_RECORDS_PER_PUBLISHER } from '../../../src/catalog/limits.ts'
import { CatalogStore, type Kept } from '../../../src/catalog/store.ts'
import { type CatalogFixture, DAY_MS, ENTRY, newPublisher, openCatalog } from '../../support/catalog.ts'

const NOW_MS = 1_700_000_000_000

let fixture: CatalogFixture
beforeEach(async () => {
  fixture = await openCatalog()
})
afterEach(() => fixture.close())

interface Opened {
  store: CatalogStore
  hidden: Set<number>
  forked: string[]
  scores: Map<string, number>
  keep: (...records: CatalogRecord[]) => Kept[]
  held: () => string[]
}

function open(maxBytes = 64 * 1024 * 1024, ownKey: Uint8Array = new Uint8Array(32)): Opened {
  const { state } = fixture
  state.db.exec('DELETE FROM catalog_publisher; DELETE FROM catalog_record; DELETE FROM catalog_body')
  state.db.exec('DELETE FROM catalog_withdrawn; DELETE FROM catalog_text')
  const hidden = new Set<number>()
  const forked: string[] = []
  const scores = new Map<string, number>()
  const store = new CatalogStore({
    state,
    ownKey,
    maxBytes,
    hidden: () => hidden,
    score: (peer) => scores.get(peer) ?? 0.5,
    onForked: (peer) => forked.push(peer),
  })
  return {
    store,
    hidden,
    forked,
    scores,
    keep: (...records) => state.writeRelaxed(() => records.map((record) => store.keep(record))),
    held: () => store.ids(undefined, NOW_MS, 100_000).map((id) => Buffer.from(id).toString('hex')),
  }
}

const hex = ({ id }: CatalogRecord): string => Buffer.from(id).toString('hex')

/** What the counters say, and what there is. */
function expectSums(store: CatalogStore): void {
  const { db } = fixture.state
  const one = (sql: string): unknown => db.prepare(sql).pluck().get()
  expect(store.bytes).toBe(one('SELECT coalesce(sum(bytes), 0) FROM catalog_record'))
  expect(one('SELECT coalesce(sum(bytes), 0) FROM catalog_publisher')).toBe(store.bytes)
  expect(one('SELECT sum(records) FROM catalog_publisher')).toBe(one('SELECT count(*) FROM catalog_record'))
  expect(one('SELECT sum(entries) FROM catalog_publisher')).toBe(
    one('SELECT count(*) FROM catalog_record WHERE kind IS NOT NULL'),
  )
  expect(one('SELECT count(*) FROM catalog_body')).toBe(one('SELECT count(*) FROM catalog_record'))
  expect(one('SELECT count(*) FROM catalog_text')).toBe(
    one('SELECT count(*) FROM catalog_record WHERE kind IS NOT NULL'),
  )
}

describe('what is kept of the catalogue', () => {
  it('is the same whatever the order in which records come', () => {
    const seed = Buffer.alloc(32, 3)
    const one = newPublisher(NOW_MS, 'test', seed)
    const other = newPublisher(NOW_MS)
    for (let count = 0; count < 6; count++) one.entry({ title: `one ${count}` })
    one.withdraw(2, 4)
    one.entry({ title: 'later' })
    one.withdraw(7, 8)
    other.entry()
    other.withdraw(1)
    other.entry({ title: 'stays' })
    // A second history of the first publisher, from number 3 on.
    const fork = newPublisher(NOW_MS, 'test', seed)
    for (const { entry } of one.records.slice(0, 2)) fork.entry(entry)
    fork.entry({ title: 'another three' })
    fork.withdraw(1)
    const all = [...one.records, ...other.records, ...fork.records.slice(2)]
    const outcomes = new Set<string>()
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: all.length }), (records) => {
        const { store, keep, held, forked } = open()
        keep(...records)
        keep(...records)
        outcomes.add(held().join(' '))
        expect(forked).toEqual([one.peer])
        expectSums(store)
      }),
      { numRuns: 20 },
    )
    expect(outcomes.size).toBe(1)
  })

  it('is an entry until it is withdrawn, and never after', () => {
    const publisher = newPublisher(NOW_MS)
    const [first, second] = [publisher.entry(), publisher.entry()]
    const withdrawal = publisher.withdraw(1)
    const { keep, held, store } = open()
    expect(keep(first, first, withdrawal, first, second)).toMatchObject([
      { verdict: 'taken' },
      { verdict: 'known' },
      { verdict: 'taken', removed: 1 },
      { verdict: 'refused', reason: 'withdrawn' },
      { verdict: 'taken' },
    ])
    expect(held().sort()).toEqual([hex(withdrawal), hex(second)].sort())
    // Another publisher's withdrawal says nothing about it.
    const stranger = newPublisher(NOW_MS)
    stranger.entry()
    keep(...stranger.records, stranger.withdraw(1))
    expect(held()).toContain(hex(second))
    expectSums(store)
  })

  it('goes when its time is over, and a withdrawal with its entry', () => {
    const publisher = newPublisher(NOW_MS)
    publisher.entry({}, { untilMs: NOW_MS + 10 })
    publisher.entry({ title: 'longer' })
    publisher.withdraw(1)
    const { keep, held, store } = open()
    keep(...publisher.records)
    expect(held()).toHaveLength(2)
    expect(store.ids(undefined, NOW_MS + 91 * DAY_MS, 10)).toEqual([])
    expect(fixture.state.writeRelaxed(() => store.expire(NOW_MS + 91 * DAY_MS))).toBe(2)
    expect(held()).toEqual([])
    expectSums(store)
    expect(fixture.state.db.prepare('SELECT count(*) FROM catalog_withdrawn').pluck().get()).toBe(0)
  })

  it('is told apart where a publisher signs two histories, once', () => {
    const seed = Buffer.alloc(32, 5)
    const [one, two] = [newPublisher(NOW_MS, 'test', seed), newPublisher(NOW_MS, 'test', seed)]
    const [first, other] = [one.entry({ title: 'a' }), two.entry({ title: 'b' })]
    const { keep, held, forked, store } = open()
    keep(first, other, one.entry(), two.entry())
    const smaller = [hex(first), hex(other)].sort()[0]
    expect(held()).toContain(smaller)
    expect(held()).toHaveLength(2)
    expect(forked).toEqual([one.peer])
    expect(store.publisherOfPeer(one.peer)?.forked).toBe(1)
    expectSums(store)
    // Also where the number is a new one, but what it follows is not what is here.
    const again = open()
    again.keep(first, two.records[1] as CatalogRecord)
    expect(again.forked).toEqual([one.peer])
    // Either way around.
    const backwards = open()
    backwards.keep(two.records[1] as CatalogRecord, first)
    expect(backwards.forked).toEqual([one.peer])
  })

  it('of one publisher is the latest, so many', () => {
    const publisher = newPublisher(NOW_MS)
    const [first, second] = [publisher.entry(), publisher.entry()]
    const far = signRecord(publisher.signer, 'test', {
      sequence: MAX_RECORDS_PER_PUBLISHER + 1,
      previous: new Uint8Array(32),
      atMs: NOW_MS,
      untilMs: NOW_MS + DAY_MS,
      entry: ENTRY,
    })
    const { keep, held, store } = open()
    keep(first, second, far)
    expect(held().sort()).toEqual([hex(second), hex(far)].sort())
    expect(keep(first)).toEqual([{ verdict: 'refused', reason: 'old' }])
    expectSums(store)
  })

  it('shares its room: who has most gives to who has less, who is not shown gives first, and own records stay', () => {
    const own = newPublisher(NOW_MS)
    const [large, small, hiddenOne] = [newPublisher(NOW_MS), newPublisher(NOW_MS), newPublisher(NOW_MS)]
    const opened = open(20 * 1024, own.signer.publicKey)
    const { keep, held, hidden, store } = opened
    keep(own.entry())
    for (let count = 0; count < 40; count++) keep(large.entry({ title: `large ${count}` }))
    expect(store.bytes).toBeLessThanOrEqual(20 * 1024)
    // The same over and over takes nothing from others, nor from itself.
    expect(keep(large.entry())).toEqual([{ verdict: 'refused', reason: 'full' }])
    const before = held().length
    keep(small.entry(), small.entry())
    expect(held()).toContain(hex(small.records[1] as CatalogRecord))
    expect(held()).toContain(hex(own.records[0] as CatalogRecord))
    expect(held().length).toBeLessThanOrEqual(before + 1)

    for (let count = 0; count < 5; count++) keep(hiddenOne.entry({ title: `hidden ${count}` }))
    const row = store.publisherOfPeer(hiddenOne.peer)
    expect(row?.entries).toBe(5)
    hidden.add(row?.id ?? -1)
    expect(keep(large.entry({ title: 'instead of a hidden one' }))).toMatchObject([{ verdict: 'taken' }])
    expect(store.publisherOfPeer(hiddenOne.peer)?.entries).toBe(4)
    expect(keep(hiddenOne.entry({ title: 'no more' }))).toEqual([{ verdict: 'refused', reason: 'full' }])
    for (let count = 0; count < 60; count++) expect(keep(own.entry())[0]?.verdict).toBe('taken')
    expect(store.publisherOfPeer(own.peer)?.entries).toBe(61)
    expectSums(store)
  })

  it('has a place for newcomers however many names somebody has made up, and keeps who is worth more', () => {
    const { keep, store, scores } = open()
    const good = newPublisher(NOW_MS)
    scores.set(good.peer, 0.6)
    keep(good.entry())
    const fill = fixture.state.db.prepare(
      'INSERT INTO catalog_publisher (key, peer, records) VALUES (randomblob(32), hex(randomblob(16)), 1)',
    )
    fixture.state.writeRelaxed(() => {
      for (let count = 1; count < MAX_PUBLISHERS; count++) fill.run()
    })
    expect(store.publishers()).toHaveLength(MAX_PUBLISHERS)
    for (let count = 0; count < 20; count++)
      expect(keep(newPublisher(NOW_MS).entry())).toMatchObject([{ verdict: 'taken' }])
    expect(store.publishers()).toHaveLength(MAX_PUBLISHERS)
    expect(store.publisherOfPeer(good.peer)?.entries).toBe(1)
    const worse = newPublisher(NOW_MS)
    scores.set(worse.peer, 0.4)
    expect(keep(worse.entry())).toEqual([{ verdict: 'refused', reason: 'full' }])
  })

  it('has ids in pages, and a version that changes with it', () => {
    const publisher = newPublisher(NOW_MS)
    const { keep, held, store } = open()
    const empty = store.version
    for (let count = 0; count < 25; count++) keep(publisher.entry())
    expect(store.version).not.toBe(empty)
    const paged: string[] = []
    let after: Uint8Array | undefined
    for (;;) {
      const page: Uint8Array[] = store.ids(after, NOW_MS, 7)
      paged.push(...page.map((id) => Buffer.from(id).toString('hex')))
      if (page.length < 7) break
      after = page.at(-1)
    }
    expect(paged).toEqual([...paged].sort())
    expect(paged).toEqual(held())
    const before = store.version
    keep(publisher.records[0] as CatalogRecord)
    expect(store.version).toBe(before)
  })
})
