import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, call } from '../../support/api-calls.ts'
import { type ApiBench, openApi } from '../../support/api-server.ts'
import { type CatalogFixture, newPublisher, openCatalog, SOME_CID, takeInto } from '../../support/catalog.ts'

const address = `/ipfs/${SOME_CID}`

let fixture: CatalogFixture
let bench: ApiBench
beforeAll(async () => {
  fixture = await openCatalog()
  bench = await openApi({ catalog: fixture.catalog })
})
afterAll(async () => {
  await bench[Symbol.asyncDispose]()
  await fixture.close()
})

const get = (path: string) => call(bench, 'GET', `/api/v1/catalog${path}`)
const post = (path: string, body?: unknown) => call(bench, 'POST', `/api/v1/catalog${path}`, { body })
const codeOf = ({ json }: Answer): unknown => (json as { error?: { code: string } }).error?.code

describe('the catalogue over HTTP', () => {
  it('takes entries, finds them, and withdraws them', async () => {
    const published = await post('', { title: 'Field recordings', address, tags: ['birds'], sizeBytes: 5 })
    expect(published).toMatchObject({
      status: 201,
      json: { neighbours: 3, entry: { sequence: 1, publisher: fixture.self, isOwn: true, sizeBytes: 5 } },
    })
    const other = newPublisher(fixture.clock.nowMs)
    await takeInto(fixture, [other.entry({ title: 'Recordings of others', mime: 'audio/flac' })])
    expect((await get('?text=record*')).json).toMatchObject({
      total: 2,
      hidden: { entries: 0, publishers: 0 },
      next: null,
    })
    for (const query of ['tag=birds', `publisher=${fixture.self}`, 'text=field%20recordings', 'kind=other'])
      expect((await get(`?${query}`)).json).toMatchObject({ entries: [{ title: 'Field recordings' }] })
    const page = (await get('?limit=1')).json as { next: string; entries: { title: string }[] }
    expect(page.entries).toMatchObject([{ title: 'Recordings of others' }])
    expect((await get(`?limit=1&after=${page.next}`)).json).toMatchObject({
      entries: [{ title: 'Field recordings' }],
    })
    expect((await get('/publishers')).json).toMatchObject({
      publishers: [
        { publisher: fixture.self, isOwn: true },
        { publisher: other.peer, isShown: true, isForked: false, headSequence: null },
      ],
    })
    expect((await post('/withdraw', { sequences: [1] })).json).toEqual({
      publisher: fixture.self,
      sequences: [1],
      neighbours: 3,
    })
    expect((await get('?tag=birds')).json).toMatchObject({ entries: [], total: 0 })
    expect((await post('/sync', {})).json).toEqual({
      peers: 0,
      failed: 0,
      taken: 0,
      given: 0,
      publisher: null,
    })
    expect((await post('/sync', { publisher: other.peer })).json).toMatchObject({
      failed: 1,
      publisher: { publisher: other.peer, sequence: 1 },
    })
  })

  it('tells entries as they come', async () => {
    const response = await fetch(`${bench.url}/api/v1/events?topics=catalog`, {
      headers: { authorization: `Bearer ${bench.token}` },
    })
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    await reader?.read()
    await post('', { title: 'Heard at once', address })
    const heard = await reader?.read()
    expect(heard?.value).toContain('event: catalogEntry')
    expect(heard?.value).toContain('"title":"Heard at once"')
    await reader?.cancel()
  })

  it('answers what is wrong with a status and a code', async () => {
    for (const [answer, status, code] of [
      [await post('', { title: 'x' }), 400, 'ERR_REQUEST_INVALID'],
      [await post('', { address, other: 1 }), 400, 'ERR_REQUEST_INVALID'],
      [await post('', { address, title: 'x', kind: 'film' }), 400, 'ERR_REQUEST_INVALID'],
      [await post('', { address }), 400, 'ERR_CATALOG_ENTRY'],
      [await post('', { address, title: 'a\nb' }), 400, 'ERR_CATALOG_ENTRY'],
      [await post('', { address: 'p2pnode:abc', title: 'x' }), 400, 'ERR_CATALOG_LINK'],
      [await post('', { address, title: 'x', lifetimeMs: 1e15 }), 400, 'ERR_CATALOG_LIFETIME'],
      [await post('/withdraw', { sequences: [99] }), 404, 'ERR_CATALOG_NOT_FOUND'],
      [await post('/withdraw', { sequences: [] }), 400, 'ERR_REQUEST_INVALID'],
      [await post('/withdraw', { sequences: 'some' }), 400, 'ERR_REQUEST_INVALID'],
      [await post('/sync', { publisher: 'nobody' }), 400, 'ERR_PEER_INVALID'],
      [await get('?text=-x'), 400, 'ERR_CATALOG_SEARCH'],
      [await get('?after=x'), 400, 'ERR_CATALOG_SEARCH'],
      [await get('?limit=201'), 400, 'ERR_REQUEST_INVALID'],
      [await get('?publisher=nobody'), 400, 'ERR_PEER_INVALID'],
      [await get('?other=1'), 400, 'ERR_REQUEST_INVALID'],
    ] as const)
      expect([answer.status, codeOf(answer)]).toEqual([status, code])
  })
})
