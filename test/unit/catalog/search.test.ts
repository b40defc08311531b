import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { Search } from '../../../src/catalog/index.ts'
import {
  type CatalogFixture,
  newPublisher,
  openCatalog,
  SOME_CID,
  type TestPublisher,
  takeInto,
} from '../../support/catalog.ts'

const NOW_MS = 1_700_000_000_000
const OTHER_CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

let fixture: CatalogFixture
let one: TestPublisher
let two: TestPublisher
beforeAll(async () => {
  fixture = await openCatalog()
  one = newPublisher(NOW_MS)
  two = newPublisher(NOW_MS)
  one.entry({
    title: 'Holiday in Köln',
    description: 'Photos of the cathedral',
    tags: ['open source', 'Travel'],
  })
  one.entry({ title: 'Cathedral', kind: 'directory', mime: 'video/mp4', sizeBytes: 5 })
  one.entry({
    title: '東京の写真',
    description: 'a "quoted" word',
    tags: ['open', 'source'],
    mime: 'video/webm',
  })
  two.entry({ title: 'Cathedral again', address: `/ipfs/${OTHER_CID}/a`, tags: ['travel'] })
  two.entry({ title: 'expires', description: 'cathedral' }, { untilMs: NOW_MS + 10 })
  two.entry({ title: 'withdrawn cathedral' })
  two.withdraw(3)
  await takeInto(fixture, [...one.records, ...two.records])
})
afterAll(() => fixture.close())

const titles = (search: Search): string[] => fixture.catalog.search(search).entries.map(({ title }) => title)

describe('a search of the catalogue', () => {
  it('finds words wherever they stand, those in titles first', () => {
    expect(titles({ text: 'cathedral' })).toEqual([
      'Cathedral',
      'Cathedral again',
      'expires',
      'Holiday in Köln',
    ])
    expect(titles({ text: 'CATHEDRAL photos' })).toEqual(['Holiday in Köln'])
    expect(titles({ text: 'koln' })).toEqual(['Holiday in Köln'])
    expect(titles({ text: 'nothing' })).toEqual([])
  })

  it('finds phrases, beginnings, and what is without a word', () => {
    expect(titles({ text: '"of the cathedral"' })).toEqual(['Holiday in Köln'])
    expect(titles({ text: '"the of"' })).toEqual([])
    for (const text of ['ho*', 'hol*', 'holi*', 'kö*', 'kol*'])
      expect(titles({ text }), text).toEqual(['Holiday in Köln'])
    expect(titles({ text: 'cathedral -again -photos -expires' })).toEqual(['Cathedral'])
    expect(titles({ text: '写真' })).toEqual(['東京の写真'])
    expect(titles({ text: 'quoted' })).toEqual(['東京の写真'])
  })

  it('takes what people type for words, never for a language', () => {
    for (const text of [
      'title:cathedral',
      'cathedral OR',
      'NEAR(a b)',
      '^',
      'aa* bb*',
      "'; DROP",
      '(',
      'a "b',
    ])
      expect(() => titles({ text: `${text} zzz` })).not.toThrow()
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        for (const search of [
          { text },
          { tag: text },
          { text: 'cathedral', mime: text },
          { text, tag: text },
        ]) {
          try {
            fixture.catalog.search(search)
          } catch (error) {
            expect(error).toBeInstanceOf(P2pnodeError)
            expect((error as P2pnodeError).code).toBe('ERR_CATALOG_SEARCH')
          }
        }
      }),
      { numRuns: 40 },
    )
  })

  it('refuses what it cannot look for', () => {
    for (const search of [
      { text: '-cathedral' },
      { text: '!!!' },
      { text: 'x'.repeat(513) },
      { text: 'a '.repeat(17) },
      { tag: '' },
      { text: 'c*' },
      { text: 'cathedral -c*' },
      { limit: 0 },
      { limit: 201 },
      { after: 'x' },
    ])
      expect(() => fixture.catalog.search(search), JSON.stringify(search)).toThrow(
        expect.objectContaining({ code: 'ERR_CATALOG_SEARCH' }),
      )
    expect(() => fixture.catalog.search({ publisher: 'nobody' })).toThrow(/is not a peer id/)
  })

  it('can be for a tag as a whole, a kind, a type, a publisher', () => {
    expect(titles({ tag: 'OPEN source' })).toEqual(['Holiday in Köln'])
    expect(titles({ tag: 'source' })).toEqual(['東京の写真'])
    expect(titles({ tag: 'travel' })).toHaveLength(2)
    expect(titles({ tag: 'trável' })).toHaveLength(2)
    expect(titles({ tag: 'trav' })).toEqual([])
    expect(titles({ text: '"source travel"' })).toEqual([])
    expect(titles({ text: 'cathedral', tag: 'travel' })).toHaveLength(2)
    expect(titles({ kind: 'directory' })).toEqual(['Cathedral'])
    expect(titles({ mime: 'Video/' })).toEqual(['東京の写真', 'Cathedral'])
    expect(titles({ mime: 'video/mp4' })).toEqual(['Cathedral'])
    expect(titles({ publisher: two.peer })).toEqual(['expires', 'Cathedral again'])
    expect(titles({ publisher: newPublisher(NOW_MS).peer })).toEqual([])
  })

  it('without words gives the newest, in pages that do not shift', () => {
    expect(titles({})).toEqual(['expires', 'Cathedral again', '東京の写真', 'Cathedral', 'Holiday in Köln'])
    for (const search of [{}, { text: 'cathedral' }, { text: 'cathedral', publisher: one.peer, limit: 1 }]) {
      const all = titles({ ...search, limit: 50 })
      const paged: string[] = []
      let after: string | null = ''
      while (after !== null) {
        const page = fixture.catalog.search({ limit: 2, ...search, ...(after === '' ? {} : { after }) })
        expect(page.total).toBe(all.length)
        paged.push(...page.entries.map(({ title }) => title))
        after = page.next
      }
      expect(paged).toEqual(all)
    }
  })

  it('shows what an entry says', () => {
    const [entry] = fixture.catalog.search({ text: 'directory OR cathedral', kind: 'directory' }).entries
    expect(entry).toBeUndefined()
    expect(fixture.catalog.search({ kind: 'directory' }).entries[0]).toEqual({
      publisher: one.peer,
      sequence: 2,
      id: Buffer.from(one.records[1]?.id ?? []).toString('hex'),
      atMs: NOW_MS,
      untilMs: one.records[1]?.untilMs,
      isOwn: false,
      kind: 'directory',
      title: 'Cathedral',
      description: '',
      tags: [],
      mime: 'video/mp4',
      sizeBytes: 5,
      address: `/ipfs/${SOME_CID}`,
    })
  })

  it('hides and counts what publishers say who are not trusted, for as long as they are not', () => {
    const { refused, refusedCids, catalog, clock } = fixture
    refused.set(two.peer, 'score')
    catalog.trustChanged()
    const found = catalog.search({ text: 'cathedral' })
    expect(found.entries.map(({ title }) => title)).toEqual(['Cathedral', 'Holiday in Köln'])
    expect(found).toMatchObject({ total: 2, hidden: { entries: 2, publishers: 1 } })
    expect(catalog.search({}).hidden).toEqual({ entries: 2, publishers: 1 })
    expect(catalog.search({ text: 'holiday' }).hidden).toEqual({ entries: 0, publishers: 0 })
    expect(catalog.search({ text: 'cathedral', publisher: two.peer })).toEqual({
      entries: [],
      total: 0,
      hidden: { entries: 2, publishers: 1 },
      next: null,
    })
    expect(catalog.search({ text: 'holiday', publisher: two.peer }).hidden).toEqual({
      entries: 0,
      publishers: 0,
    })
    expect(catalog.publishers().find(({ publisher }) => publisher === two.peer)).toMatchObject({
      entries: 2,
      isShown: false,
    })
    expect(catalog.statistics()).toMatchObject({ hiddenEntries: 2, hiddenPublishers: 1 })
    refused.clear()
    // Without being told, after a while.
    clock.nowMs += 5_000
    expect(catalog.search({ text: 'expires' }).hidden.entries).toBe(0)
    clock.nowMs = NOW_MS

    refusedCids.add(OTHER_CID)
    catalog.trustChanged()
    expect(catalog.search({ text: 'again' })).toMatchObject({ entries: [], hidden: { entries: 1 } })
    refusedCids.clear()
  })

  it('leaves out what has expired, before it is removed', () => {
    fixture.clock.nowMs += 10
    fixture.catalog.trustChanged()
    expect(titles({ text: 'expires' })).toEqual([])
    expect(titles({})).not.toContain('expires')
    fixture.clock.nowMs = NOW_MS
    fixture.catalog.trustChanged()
  })
})
