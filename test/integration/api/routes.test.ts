import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { call } from '../../support/api-calls.ts'
import { PROVIDER, type ApiBench, cidOf, openApi, PEER } from '../../support/api-server.ts'

/** What every route answers when all is well; `call` holds each answer against its schema. */

let bench: ApiBench
beforeAll(async () => {
  bench = await openApi()
})
afterAll(() => bench[Symbol.asyncDispose]())

const get = (path: string) => call(bench, 'GET', path)
const post = (path: string, body?: unknown) => call(bench, 'POST', path, { body })

describe('the node', () => {
  it('reports itself', async () => {
    expect((await get('/api/v1/status')).json).toMatchObject({
      health: 'ready',
      storage: { pins: 0 },
      peers: 0,
    })
    expect((await get('/api/v1/id')).json).toMatchObject({ peerId: PEER })
    expect((await get('/api/v1/config')).json).toMatchObject({ values: [{ key: 'api.port' }] })
    expect((await get('/api/v1/doctor')).json).toMatchObject({ checks: [{ state: 'ok' }] })
    expect((await get('/api/v1/stats')).json).toMatchObject({ process: { rssBytes: expect.any(Number) } })
    expect((await get('/api/v1/storage')).json).toMatchObject({ usedBytes: 10, quotaBytes: 100, pins: 0 })
  })

  it('tells its health apart from its life', async () => {
    bench.health.state = 'starting'
    bench.health.problems = ['the DHT is not bootstrapped']
    const starting = await get('/health/ready')
    expect([starting.status, starting.json]).toEqual([
      503,
      { state: 'starting', problems: bench.health.problems },
    ])
    expect((await get('/health/live')).status).toBe(200)
    expect((await call(bench, 'HEAD', '/health/ready')).status).toBe(503)
    bench.health.state = 'degraded'
    expect((await get('/health/ready')).status).toBe(200)
    bench.health.state = 'failed'
    expect((await get('/health/ready')).status).toBe(503)
    bench.health.state = 'ready'
    bench.health.problems = []
  })

  it('stops after it answered', async () => {
    expect((await post('/api/v1/stop')).json).toEqual({ stopping: true })
    expect(bench.stops()).toBe(1)
  })

  it('writes metrics without ids', async () => {
    await get('/api/v1/jobs/some-secret-id')
    const { text, headers } = await get('/metrics')
    expect(headers.get('content-type')).toContain('text/plain')
    expect(text).toMatch(
      /p2pnode_api_request_duration_seconds_count\{method="GET",route="\/api\/v1\/jobs\/:id",status="404"\} 1/,
    )
    expect(text).not.toContain('some-secret-id')
  })

  it('serves its documentation, with nothing from elsewhere', async () => {
    const page = await get('/docs')
    const policy = page.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toMatch(/https?:/)
    const sources = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source]) => source ?? '')
    expect(sources.length).toBe(3)
    for (const source of sources) {
      expect(source).toMatch(/^\/docs\//)
      expect((await get(source)).status).toBe(200)
    }
    expect((await get('/docs/package.json')).status).toBe(404)
    expect((await get('/docs/..%2F..%2Fpackage.json')).status).toBe(404)
    expect((await get('/docs/constructor')).status).toBe(404)
  })
})

describe('peers', () => {
  it('are connected, listed and disconnected', async () => {
    expect((await post('/api/v1/peers', { multiaddr: '/ip4/127.0.0.1/tcp/1' })).json).toMatchObject({
      peer: PEER,
    })
    expect((await get('/api/v1/peers')).json).toMatchObject({ peers: [{ peer: PEER }] })
    const known = (await get('/api/v1/peers/known?limit=1')).json
    expect(known).toMatchObject({ peers: [{ peer: PEER, successes: 3, failuresInRow: 1 }] })
    expect((await get('/api/v1/peers/known?limit=0')).status).toBe(400)
    expect((await call(bench, 'DELETE', `/api/v1/peers/${PEER}`)).status).toBe(200)
    expect((await call(bench, 'DELETE', `/api/v1/peers/${PEER}`)).json).toMatchObject({
      error: { code: 'ERR_PEER_NOT_CONNECTED', kind: 'not-found' },
    })
    expect((await post('/api/v1/peers', { multiaddr: 'nonsense' })).status).toBe(400)
  })

  it.each(['blocklist', 'allowlist'])('are put on the %s and taken off', async (list) => {
    const key = list === 'blocklist' ? 'blocked' : 'allowed'
    expect((await post(`/api/v1/${list}`, { peer: PEER })).json).toMatchObject({ [key]: [{ peer: PEER }] })
    expect((await get(`/api/v1/${list}`)).json).toMatchObject({ [key]: [{ peer: PEER }] })
    expect((await call(bench, 'DELETE', `/api/v1/${list}/${PEER}`)).json).toEqual({ [key]: [] })
    expect((await post(`/api/v1/${list}`, { peer: 'nobody' })).json).toMatchObject({
      error: { kind: 'usage' },
    })
  })

  it('leave evidence', async () => {
    expect((await get('/api/v1/evidence?limit=10')).json).toEqual({ evidence: [], nextAfterId: null })
    expect((await get(`/api/v1/evidence?peer=${PEER}&afterId=3`)).status).toBe(200)
  })

  it('explain from whom content would come', async () => {
    const cid = (await cidOf(Buffer.from('x'))).toString()
    expect((await get(`/api/v1/route?cid=${cid}&size=1000`)).json).toMatchObject({
      cid,
      facts: { sizeBytes: 1000 },
      sources: [{ kind: 'peer', id: PEER, terms: [{ name: 'kind', points: 100 }] }],
    })
    for (const query of ['cid=no', `cid=${cid}&size=-1`, `cid=${cid}&size=much`, `cid=${cid}&more=1`, ''])
      expect((await get(`/api/v1/route?${query}`)).status).toBe(400)
  })

  it('provide', async () => {
    const cid = (await cidOf(Buffer.from('x'))).toString()
    const { text, headers } = await get(`/api/v1/providers?cid=${cid}`)
    expect(headers.get('content-type')).toBe('application/x-ndjson')
    expect(text).toBe(`${JSON.stringify(PROVIDER)}\n`)
    expect((await post('/api/v1/provide', { cid })).json).toEqual({})
    expect((await post('/api/v1/provide', { cid: 'no' })).json).toMatchObject({
      error: { code: 'ERR_CID_INVALID' },
    })
  })
})

describe('jobs', () => {
  it('are started, waited for, listed', async () => {
    const started = await post('/api/v1/content/get', { address: 'bafy' })
    expect(started.status).toBe(202)
    const { id } = started.json as { id: string }
    expect((await get(`/api/v1/jobs/${id}/wait?timeoutMs=5000`)).json).toMatchObject({
      state: 'done',
      result: { address: 'bafy' },
    })
    expect((await get(`/api/v1/jobs/${id}`)).json).toMatchObject({ id })
    expect((await get('/api/v1/jobs?kind=get&state=done&limit=1')).json).toMatchObject({ jobs: [{ id }] })
    expect((await get('/api/v1/jobs/none')).json).toMatchObject({ error: { code: 'ERR_JOB_NOT_FOUND' } })
  })

  it('keep their failure', async () => {
    const { id } = (await post('/api/v1/content/get', { address: 'missing' })).json as { id: string }
    expect((await get(`/api/v1/jobs/${id}/wait`)).json).toMatchObject({
      state: 'failed',
      error: { code: 'ERR_NOT_FOUND', kind: 'not-found' },
    })
  })

  it('that take long are answered as they are, and can be cancelled', async () => {
    const first = (await post('/api/v1/gc')).json as { id: string }
    const second = (await post('/api/v1/gc')).json as { id: string }
    expect(second.id).toBe(first.id)
    expect((await get(`/api/v1/jobs/${first.id}/wait?timeoutMs=20`)).json).toMatchObject({ endedAtMs: null })
    const waiting = get(`/api/v1/jobs/${first.id}/wait?timeoutMs=60000`)
    expect((await post(`/api/v1/jobs/${first.id}/cancel`)).status).toBe(200)
    expect((await waiting).json).toMatchObject({ state: 'cancelled' })
    expect((await post('/api/v1/scrub')).status).toBe(202)
  })
})

describe('pins', () => {
  it('are made by a job, listed and removed', async () => {
    const cid = await cidOf(Buffer.from('pinned'))
    expect((await post('/api/v1/pins', { address: cid.toString() })).json).toMatchObject({
      kind: 'pin',
      params: { address: cid.toString(), name: '', kind: 'recursive' },
    })
    bench.pins.push({ cid, name: 'mine', kind: 'recursive', state: 'pinned', createdAtMs: 1 })
    expect((await get(`/api/v1/pins?cid=${cid.toString()}`)).json).toMatchObject({ pins: [{ name: 'mine' }] })
    expect((await get('/api/v1/pins?cid=no')).status).toBe(400)
    const removed = await call(bench, 'DELETE', `/api/v1/pins/${cid.toString()}?kind=recursive`)
    expect(removed.json).toMatchObject({ removed: [{ name: 'mine' }] })
    expect((await call(bench, 'DELETE', `/api/v1/pins/${cid.toString()}`)).status).toBe(404)
  })
})

describe('what is not there', () => {
  it('has the one shape of failures', async () => {
    expect((await get('/api/v2/status')).json).toMatchObject({
      error: { code: 'ERR_ROUTE_UNKNOWN', kind: 'not-found' },
    })
    const method = await call(bench, 'DELETE', '/api/v1/peers')
    expect([method.status, method.headers.get('allow')]).toEqual([405, 'GET, POST'])
    expect((await get('/api/v1/%zz')).status).toBe(400)
  })
})

it('an unexpected error is logged with the id of its request, and told without its text', async () => {
  const broken = await openApi({
    doctor: async () => {
      throw new TypeError('a secret inside')
    },
  })
  try {
    const { status, text, headers } = await call(broken, 'GET', '/api/v1/doctor')
    expect(status).toBe(500)
    expect(text).not.toContain('secret')
    const id = headers.get('x-request-id')
    expect(id).toBeTruthy()
    expect(broken.log.lines).toContainEqual([
      expect.objectContaining({
        requestId: id,
        err: expect.objectContaining({ message: 'a secret inside' }),
      }),
      expect.any(String),
    ])
  } finally {
    await broken[Symbol.asyncDispose]()
  }
})

describe('a backup', () => {
  it('that fails before its first byte has a status; one that fails later is cut off', async () => {
    let failAfter = ''
    const failing = await openApi({
      backup: async (out) => {
        if (failAfter !== '') {
          out.write(failAfter)
          await once(out, 'drain')
        }
        throw new P2pnodeError('ERR_DISK_FULL', 'no-space', 'no room for the snapshot')
      },
    })
    try {
      const early = await call(failing, 'GET', '/api/v1/backup')
      expect([early.status, early.json]).toMatchObject([507, { error: { code: 'ERR_DISK_FULL' } }])
      failAfter = 'x'.repeat(1_000_000)
      await expect(call(failing, 'GET', '/api/v1/backup')).rejects.toThrow(/terminated|fetch failed/)
    } finally {
      await failing[Symbol.asyncDispose]()
    }
  })
})
