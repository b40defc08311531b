import { create, toBinary } from '@bufbuild/protobuf'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { decodeBatch, encodeBatches, encodeSigned } from '../../../protocols/catalog/index.ts'
import { MAX_LIFETIME_MS } from '../../../protocols/catalog/limits.ts'
import { BatchSchema } from '../../../protocols/catalog/messages_pb.ts'
import type { CatalogRecord, SignedBytes } from '../../../protocols/catalog/types.ts'
import type { CatalogEntry } from '../../../src/catalog/index.ts'
import {
  type CatalogFixture,
  DAY_MS,
  newPublisher,
  openCatalog,
  SOME_CID,
  takeInto,
} from '../../support/catalog.ts'

const NOW_MS = 1_700_000_000_000
const address = `/ipfs/${SOME_CID}`
const LINK = 'p2pnode:9xyzABC'
const signal = AbortSignal.timeout(60_000)

let fixture: CatalogFixture
beforeEach(async () => {
  fixture = await openCatalog()
})
afterEach(() => fixture.close())

const publish = (title: string) => fixture.catalog.publish({ title, address }, { signal })
const published = (): CatalogRecord[] => fixture.network.published.flatMap(decodeBatch)

describe('what this node publishes', () => {
  it('is a log that goes on after a restart, and is told as it is kept', async () => {
    const first = await publish('one')
    expect(first).toEqual({
      entry: {
        publisher: fixture.self,
        sequence: 1,
        id: expect.stringMatching(/^[0-9a-f]{64}$/),
        atMs: NOW_MS,
        untilMs: NOW_MS + 90 * DAY_MS,
        isOwn: true,
        kind: 'other',
        title: 'one',
        description: '',
        tags: [],
        mime: '',
        sizeBytes: null,
        address,
      },
      neighbours: 3,
    })
    const full = { title: 'two', address, description: 'a\nb', tags: ['x'], mime: 'text/plain', sizeBytes: 7 }
    await fixture.catalog.publish({ ...full, kind: 'file', lifetimeMs: 1_000 }, { signal })
    const [one, two] = published()
    expect(two?.previous).toEqual(one?.id)
    expect(two).toMatchObject({ sequence: 2, untilMs: NOW_MS + 1_000, entry: { ...full, kind: 'file' } })
    expect(fixture.catalog.search({}).entries.map(({ title }) => title)).toEqual(['two', 'one'])

    const again = fixture.reopen()
    const third = await again.publish({ title: 'three', address }, { signal })
    // Nobody was told: that one does not run.
    expect(third).toMatchObject({ neighbours: 0, entry: { sequence: 3 } })
    expect(fixture.catalog.search({}).total).toBe(3)
    expect(fixture.catalog.publishers()).toEqual([
      {
        publisher: fixture.self,
        entries: 3,
        sequence: 3,
        headSequence: null,
        isShown: true,
        isForked: false,
        isOwn: true,
      },
    ])
  })

  it('is published anew when a third of its time is left, unless it was to end', async () => {
    const { catalog, clock } = fixture
    await publish('usual')
    await catalog.publish({ title: 'short', address, lifetimeMs: 89 * DAY_MS }, { signal })
    await publish('taken back')
    clock.nowMs += 59 * DAY_MS
    expect(await catalog.renew({ signal })).toBe(0)
    clock.nowMs += 2 * DAY_MS
    await catalog.withdraw([3], { signal })
    expect(await catalog.renew({ signal })).toBe(1)
    expect(await catalog.renew({ signal })).toBe(0)
    const own = (of = catalog) =>
      of
        .search({})
        .entries.map(({ title, sequence, untilMs }) => [title, sequence, (untilMs - NOW_MS) / DAY_MS])
    expect(own()).toEqual([
      ['usual', 5, 61 + 90],
      ['short', 2, 89],
    ])
    expect(published().slice(-2)).toMatchObject([
      { sequence: 5, entry: { title: 'usual' } },
      { sequence: 6, withdraws: [1] },
    ])

    clock.nowMs += 61 * DAY_MS
    const again = fixture.reopen()
    expect(await again.renew({ signal })).toBe(1)
    expect(own(again)).toEqual([['usual', 7, 122 + 90]])
  })

  it('is renewed in parts, each whole', async () => {
    const { catalog, clock } = fixture
    await Promise.all(Array.from({ length: 70 }, (_, index) => publish(`entry ${index}`)))
    clock.nowMs += 80 * DAY_MS
    expect(await catalog.renew({ signal })).toBe(70)
    expect(catalog.search({}).total).toBe(70)
    clock.nowMs += 80 * DAY_MS
    expect(catalog.search({}).total).toBe(70)
  })

  it('goes in one message where much is published at once', async () => {
    await Promise.all(Array.from({ length: 40 }, (_, index) => publish(`entry ${index}`)))
    expect(published().map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 40 }, (_, index) => index + 1),
    )
    expect(fixture.network.published).toHaveLength(2)
  })

  it('is shown whatever this node is worth to itself', async () => {
    await publish('mine')
    fixture.refused.set(fixture.self, 'score')
    fixture.catalog.trustChanged()
    expect(fixture.catalog.search({})).toMatchObject({ total: 1, hidden: { entries: 0 } })
  })

  it('opens a private file only where that is said', async () => {
    const draft = { title: 'secret', address: LINK }
    await expect(fixture.catalog.publish(draft, { signal })).rejects.toMatchObject({
      code: 'ERR_CATALOG_LINK',
    })
    await expect(fixture.catalog.publish({ ...draft, revealsLink: false }, { signal })).rejects.toThrow(
      /everybody in the network/,
    )
    expect(fixture.catalog.statistics().records).toBe(0)
    const { entry } = await fixture.catalog.publish({ ...draft, revealsLink: true }, { signal })
    expect(entry).toMatchObject({ kind: 'private', address: LINK })
  })

  it('is refused with a reason where it is wrong, and leaves nothing', async () => {
    const cases: [object, string][] = [
      [{ title: '' }, 'ERR_CATALOG_ENTRY'],
      [{ title: 'a\u001bb' }, 'ERR_CATALOG_ENTRY'],
      [{ title: 'x'.repeat(257) }, 'ERR_CATALOG_ENTRY'],
      [{ tags: Array.from({ length: 17 }, () => 'x') }, 'ERR_CATALOG_ENTRY'],
      [{ mime: 'text' }, 'ERR_CATALOG_ENTRY'],
      [{ sizeBytes: -1 }, 'ERR_CATALOG_ENTRY'],
      [{ sizeBytes: 0.5 }, 'ERR_CATALOG_ENTRY'],
      [{ address: 'https://example.org' }, 'ERR_CATALOG_ENTRY'],
      [{ lifetimeMs: 0 }, 'ERR_CATALOG_LIFETIME'],
      [{ lifetimeMs: Number.NaN }, 'ERR_CATALOG_LIFETIME'],
      [{ lifetimeMs: MAX_LIFETIME_MS + 1 }, 'ERR_CATALOG_LIFETIME'],
    ]
    for (const [changes, code] of cases)
      await expect(
        fixture.catalog.publish({ title: 'x', address, ...changes }, { signal }),
        JSON.stringify(changes),
      ).rejects.toMatchObject({ code, kind: 'usage' })
    await expect(
      fixture.catalog.publish({ title: 'x', address }, { signal: AbortSignal.abort() }),
    ).rejects.toThrow()
    expect(fixture.catalog.statistics().records).toBe(0)
    expect(fixture.network.published).toEqual([])
  })

  it('is withdrawn by number, some or all, in as few records as hold them', async () => {
    await expect(fixture.catalog.withdraw([1], { signal })).rejects.toMatchObject({
      code: 'ERR_CATALOG_NOT_FOUND',
    })
    await expect(fixture.catalog.withdraw('all', { signal })).rejects.toThrow(/published nothing/)
    for (let count = 1; count <= 70; count++) await publish(`entry ${count}`)
    await fixture.catalog.publish({ title: 'long', address, lifetimeMs: 300 * DAY_MS }, { signal })
    expect(await fixture.catalog.withdraw([3, 1, 3], { signal })).toEqual({
      publisher: fixture.self,
      sequences: [1, 3],
      neighbours: 3,
    })
    await expect(fixture.catalog.withdraw([2, 3], { signal })).rejects.toThrow(/no entry 3/)
    expect(fixture.catalog.search({}).total).toBe(69)
    const { sequences } = await fixture.catalog.withdraw('all', { signal })
    expect(sequences).toHaveLength(69)
    expect(fixture.catalog.statistics()).toMatchObject({ entries: 0, records: 3, refused: { withdrawn: 0 } })
    const withdrawals = published().filter(({ withdraws }) => withdraws !== undefined)
    expect(withdrawals.map(({ withdraws }) => withdraws?.length)).toEqual([2, 64, 5])
    expect(withdrawals.at(-1)?.untilMs).toBe(NOW_MS + 300 * DAY_MS)
    await expect(fixture.catalog.withdraw('all', { signal })).rejects.toThrow(/published nothing/)
    // Numbers are never used again.
    expect((await publish('after')).entry.sequence).toBe(75)
  })
})

describe('what others publish', () => {
  it('is passed on by gossip where it is new, signed, and said by its publisher', () => {
    const publisher = newPublisher(NOW_MS)
    const check = (author: string, data: Uint8Array) =>
      fixture.catalog.topic.check?.({ author, topic: 'catalog', data })
    const records = [publisher.entry(), publisher.entry({ title: 'two' }), publisher.withdraw(1)]
    const [batch = new Uint8Array(0)] = encodeBatches(records.map(({ signed }) => signed))
    expect(check(publisher.peer, batch)).toBe('accept')
    expect(check(newPublisher(NOW_MS).peer, batch)).toBe('reject')
    const raw = (...signed: SignedBytes[]) => toBinary(BatchSchema, create(BatchSchema, { records: signed }))
    const other = newPublisher(NOW_MS).entry().signed
    const [first, second] = records.map(({ signed }) => signed)
    if (first === undefined || second === undefined) throw new Error('no records')
    for (const data of [
      new Uint8Array(0),
      Uint8Array.of(1, 2, 3),
      raw(first, other),
      raw({ ...first, signature: second.signature }),
      raw(...Array.from({ length: 33 }, () => first)),
      batch.slice(0, -1),
    ])
      expect(check(publisher.peer, data)).toBe('reject')
  })

  it('is taken once, however it comes', async () => {
    const publisher = newPublisher(NOW_MS)
    const heard: CatalogEntry[] = []
    const end = fixture.catalog.onEntry((entry) => heard.push(entry))
    publisher.entry({ title: 'one' })
    const [batch = new Uint8Array(0)] = encodeBatches(publisher.records.map(({ signed }) => signed))
    const check = () =>
      fixture.catalog.topic.check?.({ author: publisher.peer, topic: 'catalog', data: batch })
    expect(check()).toBe('accept')
    await fixture.network.deliver(batch)
    expect(check()).toBe('ignore')
    expect(await takeInto(fixture, publisher.records)).toMatchObject([{ verdict: 'known' }])
    expect(heard).toMatchObject([{ title: 'one', publisher: publisher.peer, isOwn: false }])
    end()
    await publish('two')
    expect(heard).toHaveLength(1)
    expect(fixture.catalog.statistics()).toMatchObject({ taken: 1, invalid: 0, publishers: 2 })
  })

  it('comes with one outcome for each entry, and what is wrong harms nothing beside it', async () => {
    const publisher = newPublisher(NOW_MS)
    const [good, forged, other, late, early] = [
      publisher.entry(),
      publisher.entry(),
      newPublisher(NOW_MS, 'other').entry(),
      publisher.entry({}, { atMs: NOW_MS - 1, untilMs: NOW_MS }),
      publisher.entry({}, { atMs: NOW_MS + 5 * 60_000 + 1 }),
    ]
    const set = fixture.network.set()
    const entries = [
      encodeSigned({ ...forged.signed, signature: good.signed.signature }),
      encodeSigned(good.signed),
      new Uint8Array(0),
      encodeSigned(other.signed),
      encodeSigned(late.signed),
      encodeSigned(early.signed),
      encodeSigned(good.signed),
    ]
    const outcomes = await set.take(entries, 'peer', { signal })
    expect(outcomes.map(({ verdict }) => verdict)).toEqual([
      'invalid',
      'taken',
      'invalid',
      'invalid',
      'refused',
      'refused',
      'known',
    ])
    expect(outcomes[1]).toMatchObject({ id: good.id })
    expect(fixture.catalog.statistics()).toMatchObject({
      entries: 1,
      invalid: 3,
      refused: { expired: 1, early: 1 },
    })
    expect(set.ids(undefined, 10)).toEqual([Buffer.from(good.id)])
    expect(set.read(good.id)).toEqual(encodeSigned(good.signed))
    expect(set.read(late.id)).toBeUndefined()
    await expect(set.take(entries, 'peer', { signal: AbortSignal.abort() })).rejects.toThrow()
  })

  it('is not kept where the operator has refused the publisher, and kept unseen where a score has', async () => {
    const [blocked, doubtful] = [newPublisher(NOW_MS), newPublisher(NOW_MS)]
    fixture.refused.set(blocked.peer, 'deny-list')
    fixture.refused.set(doubtful.peer, 'score')
    const outcomes = await takeInto(fixture, [blocked.entry(), doubtful.entry()])
    expect(outcomes.map(({ verdict }) => verdict)).toEqual(['refused', 'taken'])
    fixture.catalog.trustChanged()
    expect(fixture.catalog.search({})).toMatchObject({
      entries: [],
      total: 0,
      hidden: { entries: 1, publishers: 1 },
    })
    fixture.refused.clear()
    fixture.catalog.trustChanged()
    expect(fixture.catalog.search({}).total).toBe(1)
    expect(fixture.catalog.statistics().refused.denied).toBe(1)
  })

  it('is evidence once where it is two histories', async () => {
    const seed = Buffer.alloc(32, 9)
    const [one, two] = [newPublisher(NOW_MS, 'test', seed), newPublisher(NOW_MS, 'test', seed)]
    await takeInto(fixture, [one.entry({ title: 'a' }), two.entry({ title: 'b' }), one.entry(), two.entry()])
    expect(fixture.reports).toEqual([{ peer: one.peer, kind: 'protocol-violation' }])
    expect(fixture.catalog.publishers()).toMatchObject([{ isForked: true, entries: 2 }])
  })

  it('is not there without catalog.receive, and what this node publishes still is', async () => {
    const other = await openCatalog({ receive: false })
    try {
      await other.catalog.publish({ title: 'mine', address }, { signal })
      expect(other.catalog.search({}).total).toBe(1)
      expect(() => other.network.set()).toThrow(/no set/)
      expect(other.network.published).toHaveLength(1)
      await expect(other.catalog.sync({ signal })).rejects.toMatchObject({ code: 'ERR_CATALOG_OFF' })
    } finally {
      await other.close()
    }
  })

  it('ends every listener by its own function, and has a bound of them', () => {
    const ends = Array.from({ length: 16 }, () => fixture.catalog.onEntry(() => {}))
    expect(() => fixture.catalog.onEntry(() => {})).toThrow(RangeError)
    for (const end of ends) end()
    fixture.catalog.onEntry(() => {})()
  })
})
