import { CID } from 'multiformats/cid'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type ApiBench, openApi } from '../../support/api-server.ts'
import { eventually } from '../../support/network.ts'

const A = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const V0 = 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG'
const V1 = CID.parse(V0).toV1().toString()
const ORIGIN = '/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWGRUfLsyJUWbM7ytJbYfSVPHQjKjxZ3VZJ9JYvbhfBPhe'
const ALL = 'queued,pinning,pinned,failed'

interface Status {
  requestid: string
  status: string
  created: string
  pin: { cid: string; name?: string; origins: string[]; meta?: Record<string, string> }
  delegates: string[]
  info?: Record<string, string>
}
interface Results {
  count: number
  results: Status[]
}

let bench: ApiBench
beforeAll(async () => {
  bench = await openApi()
})
afterAll(() => bench[Symbol.asyncDispose]())
afterEach(async () => {
  for (const { requestid } of (await list({ status: ALL, limit: 1_000 })).results)
    await ask('DELETE', `/pins/${requestid}`)
})

async function ask(
  method: string,
  path: string,
  { body, token = bench.token }: { body?: unknown; token?: string | null } = {},
): Promise<{ status: number; json: unknown }> {
  const response = await fetch(`${bench.url}${path}`, {
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, json: text === '' ? undefined : JSON.parse(text) }
}

async function add(pin: object): Promise<Status> {
  const { status, json } = await ask('POST', '/pins', { body: pin })
  expect(status).toBe(202)
  return json as Status
}
async function list(query: Record<string, string | number> = {}): Promise<Results> {
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) search.set(key, String(value))
  return (await ask('GET', `/pins?${search}`)).json as Results
}
const names = ({ results }: Results): (string | undefined)[] => results.map(({ pin }) => pin.name)

describe('the Pinning Service API', () => {
  it('takes a request, tells what becomes of it, replaces it and lets go of it', async () => {
    const meta = { app: 'test' }
    const added = await add({ cid: A, name: 'one', origins: [ORIGIN], meta })
    expect(added).toMatchObject({ status: 'queued', pin: { cid: A, name: 'one', origins: [ORIGIN], meta } })
    expect(added.delegates).toEqual(bench.network.addresses())
    await eventually('it is worked on', async () => {
      return ((await ask('GET', `/pins/${added.requestid}`)).json as Status).status === 'pinning'
    })
    expect(bench.network.connected.size).toBe(1)

    const replaced = await ask('POST', `/pins/${added.requestid}`, { body: { cid: V1, name: 'two' } })
    expect([replaced.status, (replaced.json as Status).pin.cid]).toEqual([202, V1])
    const { requestid } = replaced.json as Status
    expect(requestid).not.toBe(added.requestid)
    expect((await ask('GET', `/pins/${added.requestid}`)).status).toBe(404)
    expect(await ask('DELETE', `/pins/${requestid}`)).toEqual({ status: 202, json: undefined })
    expect((await ask('GET', `/pins/${requestid}`)).status).toBe(404)
    expect((await ask('DELETE', `/pins/${requestid}`)).status).toBe(404)
    expect((await list({ status: ALL })).count).toBe(0)
    // Nothing is left running for them.
    expect(bench.jobs.list({ kind: 'pin' }).every(({ state }) => state === 'cancelled')).toBe(true)
  })

  it('finds requests by CID, name, status, time and meta', async () => {
    const made: Status[] = []
    for (const pin of [
      { cid: A, name: 'Holiday.tar', meta: { app: 'x', day: '1' } },
      { cid: V0, name: 'holiday', meta: { app: 'x', 'odd "key".a': "o'neill" } },
      { cid: A, name: 'ÄRGER', meta: { app: 'y' } },
      { cid: A },
    ])
      made.push(await add(pin))
    const status = ALL
    expect((await list()).count).toBe(0)
    expect((await list({ status })).count).toBe(4)
    expect((await list({ status: 'failed' })).count).toBe(0)
    expect((await list({ status, cid: V1 })).results.map(({ pin }) => pin.cid)).toEqual([V0])
    expect((await list({ status, cid: `${A},${V0}` })).count).toBe(4)

    expect(names(await list({ status, name: 'holiday' }))).toEqual(['holiday'])
    expect(names(await list({ status, name: 'HOLIDAY', match: 'iexact' }))).toEqual(['holiday'])
    expect(names(await list({ status, name: 'oliday', match: 'partial' }))).toEqual([
      'holiday',
      'Holiday.tar',
    ])
    expect(names(await list({ status, name: 'holi', match: 'partial' }))).toEqual(['holiday'])
    expect(names(await list({ status, name: 'ärg', match: 'ipartial' }))).toEqual(['ÄRGER'])
    expect((await list({ status, name: '%', match: 'partial' })).count).toBe(0)

    const metaOf = (meta: object): string => JSON.stringify(meta)
    expect((await list({ status, meta: metaOf({ app: 'x' }) })).count).toBe(2)
    expect((await list({ status, meta: metaOf({ app: 'x', day: '1' }) })).count).toBe(1)
    expect((await list({ status, meta: metaOf({ 'odd "key".a': "o'neill" }) })).count).toBe(1)
    expect((await list({ status, meta: metaOf({ app: 'z' }) })).count).toBe(0)
    expect((await list({ status, meta: '{}' })).count).toBe(4)

    const [, second] = made
    expect((await list({ status, before: second!.created })).count).toBe(1)
    expect((await list({ status, after: second!.created })).count).toBe(2)
  })

  it('gives pages that hold every request once, the newest first', async () => {
    await Promise.all(Array.from({ length: 25 }, (_, at) => add({ cid: A, name: `page ${at}` })))
    const seen: Status[] = []
    let before: string | undefined
    for (;;) {
      const page = await list({ status: ALL, ...(before === undefined ? {} : { before }) })
      if (page.results.length === 0) break
      expect(page.count).toBe(25 - seen.length)
      expect(page.results.length).toBe(Math.min(10, 25 - seen.length))
      seen.push(...page.results)
      before = page.results.at(-1)?.created
    }
    expect(new Set(seen.map(({ requestid }) => requestid)).size).toBe(25)
    const times = seen.map(({ created }) => Date.parse(created))
    expect(times).toEqual([...new Set(times)].sort((left, right) => right - left))
    expect((await list({ status: ALL, limit: 1_000 })).results).toHaveLength(25)
  })

  it('says what is wrong in the shape of its specification', async () => {
    const reader = (await ask('POST', '/api/v1/tokens', { body: { name: 'reader', scope: 'read' } }))
      .json as {
      token: string
    }
    const long = 'x'.repeat(300)
    for (const [answer, status, reason] of [
      [await ask('GET', '/pins', { token: null }), 401, 'UNAUTHORIZED'],
      [await ask('GET', '/pins', { token: 'wrong' }), 401, 'UNAUTHORIZED'],
      [await ask('POST', '/pins', { body: { cid: A }, token: reader.token }), 403, 'SCOPE'],
      [await ask('GET', '/pins/nothing'), 404, 'NOT_FOUND'],
      [await ask('POST', '/pins/nothing', { body: { cid: A } }), 404, 'NOT_FOUND'],
      [await ask('POST', '/pins', { body: { cid: 'nonsense' } }), 400, 'BAD_REQUEST'],
      [await ask('POST', '/pins', { body: {} }), 400, 'BAD_REQUEST'],
      [await ask('POST', '/pins', { body: '{"cid":' }), 400, 'BAD_REQUEST'],
      [await ask('POST', '/pins', { body: '[]' }), 400, 'BAD_REQUEST'],
      [await ask('POST', '/pins', { body: '"text"' }), 400, 'BAD_REQUEST'],
      [await ask('POST', '/pins', { body: { cid: A, name: long } }), 400, 'BAD_REQUEST'],
      [await ask('POST', '/pins', { body: { cid: A, origins: ['http://x'] } }), 400, 'BAD_REQUEST'],
      [
        await ask('POST', '/pins', { body: { cid: A, origins: ['/ip4/192.0.2.1/tcp/1'] } }),
        400,
        'BAD_REQUEST',
      ],
      [await ask('POST', '/pins', { body: { cid: A, origins: Array(21).fill(ORIGIN) } }), 400, 'BAD_REQUEST'],
      [await ask('POST', '/pins', { body: { cid: A, meta: { a: 1 } } }), 400, 'BAD_REQUEST'],
      [await ask('POST', '/pins', { body: { cid: A, meta: { a: 'x'.repeat(40_000) } } }), 400, 'BAD_REQUEST'],
      [
        await ask('POST', '/pins', { body: { cid: A, meta: { a: 'x'.repeat(2_000_000) } } }),
        413,
        'BODY_TOO_LARGE',
      ],
      [await ask('GET', '/pins?limit=0'), 400, 'BAD_REQUEST'],
      [await ask('GET', '/pins?limit=1001'), 400, 'BAD_REQUEST'],
      [await ask('GET', '/pins?limit=many'), 400, 'BAD_REQUEST'],
      [await ask('GET', '/pins?status=lost'), 400, 'BAD_REQUEST'],
      [await ask('GET', '/pins?status=,'), 400, 'BAD_REQUEST'],
      [await ask('GET', '/pins?match=fuzzy&name=x'), 400, 'BAD_REQUEST'],
      [await ask('GET', '/pins?before=yesterday'), 400, 'BAD_REQUEST'],
      [await ask('GET', '/pins?after=2020-13-01T00:00:00Z'), 400, 'BAD_REQUEST'],
      [await ask('GET', `/pins?cid=${Array(11).fill(A).join(',')}`), 400, 'BAD_REQUEST'],
      [await ask('GET', '/pins?cid=nonsense'), 400, 'BAD_REQUEST'],
      [await ask('GET', '/pins?meta=nonsense'), 400, 'BAD_REQUEST'],
      [await ask('GET', '/pins?meta=[1]'), 400, 'BAD_REQUEST'],
      [await ask('GET', `/pins?meta=${encodeURIComponent('{"a":1}')}`), 400, 'BAD_REQUEST'],
      [await ask('GET', `/pins?name=${long}`), 400, 'BAD_REQUEST'],
    ] as const) {
      expect([answer.status, answer.json]).toMatchObject([status, { error: { reason } }])
      expect(typeof (answer.json as { error: { details: unknown } }).error.details).toBe('string')
    }
    // A reader may look.
    expect((await ask('GET', '/pins', { token: reader.token })).status).toBe(200)
    expect((await list({ status: ALL })).count).toBe(0)
  })
})
