import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MAX_FAILED_AUTH_PER_MINUTE } from '../../../src/api/limits.ts'
import { type Route } from '../../../src/api/route.ts'
import { routes } from '../../../src/api/routes.ts'
import { call, rawConnection } from '../../support/api-calls.ts'
import { type ApiBench, openApi } from '../../support/api-server.ts'

let bench: ApiBench
const tokens: Record<string, string> = {}

beforeAll(async () => {
  bench = await openApi()
  for (const scope of ['read', 'write', 'admin']) {
    const { json } = await call(bench, 'POST', '/api/v1/tokens', { body: { name: scope, scope } })
    tokens[scope] = (json as { token: string }).token
  }
})
afterAll(() => bench[Symbol.asyncDispose]())

/** The route with parameters that name nothing, so that asking it changes nothing. */
const probe = ({ method, path }: Route): [method: string, path: string] => [
  method,
  path.replace(/:\w+/g, 'none'),
]

const RANK = { read: 0, write: 1, admin: 2 }

describe('who may ask', () => {
  const guarded = routes.filter(({ access, operationId }) => access in RANK && operationId !== 'events')

  it.each(guarded.map((route) => [`${route.method} ${route.path}`, route] as const))(
    '%s',
    async (_name, route) => {
      const [method, path] = probe(route)
      const without = await call(bench, method, path, { token: null })
      expect(without.status).toBe(401)
      expect(without.headers.get('www-authenticate')).toContain('Bearer')
      for (const scope of ['read', 'write'] as const) {
        if (RANK[scope] >= RANK[route.access as 'admin']) continue
        const { status, json } = await call(bench, method, path, { token: tokens[scope]! })
        expect(status).toBe(403)
        expect(json).toMatchObject({
          error:
            route.failures === 'pinning'
              ? { reason: 'SCOPE' }
              : { code: 'ERR_SCOPE', details: { needed: route.access, held: scope } },
        })
      }
      // Whoever may ask gets to the checks behind; nothing that changes anything is asked for in full.
      const safe = method === 'GET' || route.body !== undefined || path.includes('none')
      const allowed =
        safe && route.operationId !== 'openUpload'
          ? (await call(bench, method, path, { token: tokens[route.access]! })).status
          : undefined
      expect([401, 403]).not.toContain(allowed)
    },
  )

  it.each(['Basic abc', 'Bearer', 'Bearer ', 'Bearer a b', 'bearer\tabc', `Bearer ${'x'.repeat(5000)}`])(
    'the header %.20s is no token',
    async (authorization) => {
      const { status } = await call(bench, 'GET', '/api/v1/id', { token: null, headers: { authorization } })
      expect([401, 429]).toContain(status)
    },
  )

  it('a revoked token is refused at once', async () => {
    const { json } = await call(bench, 'POST', '/api/v1/tokens', { body: { name: 'short', scope: 'read' } })
    const { id, token } = json as { id: string; token: string }
    expect((await call(bench, 'GET', '/api/v1/id', { token })).status).toBe(200)
    expect((await call(bench, 'DELETE', `/api/v1/tokens/${id}`)).status).toBe(200)
    expect([401, 429]).toContain((await call(bench, 'GET', '/api/v1/id', { token })).status)
    expect((await call(bench, 'DELETE', `/api/v1/tokens/${id}`)).status).toBe(404)
  })

  it('tokens survive in the database as digests only, with their last use', async () => {
    const { json } = await call(bench, 'GET', '/api/v1/tokens')
    const listed = (json as { tokens: { scope: string; lastUsedAtMs: number | null }[] }).tokens
    expect(listed.map(({ scope }) => scope).sort()).toEqual(['admin', 'read', 'write'])
    expect(listed.find(({ scope }) => scope === 'read')?.lastUsedAtMs).toBeGreaterThan(0)
    const rows = bench.dependencies.state.db.prepare('SELECT * FROM token').all() as { hash: Buffer }[]
    expect(rows.every(({ hash }) => hash.byteLength === 32)).toBe(true)
    expect(JSON.stringify(rows)).not.toContain(tokens['read'])
  })
})

describe('failed attempts', () => {
  it('are answered 429 after a while, and never keep out who has a token', async () => {
    let last = 0
    for (let attempt = 0; attempt <= MAX_FAILED_AUTH_PER_MINUTE && last !== 429; attempt += 1) {
      last = (await call(bench, 'GET', '/api/v1/id', { token: 'guess' })).status
    }
    expect(last).toBe(429)
    const refused = await call(bench, 'GET', '/api/v1/id', { token: 'guess' })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await call(bench, 'GET', '/api/v1/id')).status).toBe(200)
  })
})

describe('other sites', () => {
  const ask = async (headers: string): Promise<string> => {
    const connection = await rawConnection(bench)
    connection.send(`GET /health/live HTTP/1.1\r\n${headers}connection: close\r\n\r\n`)
    await connection.closed
    return connection.received
  }

  it('are refused by the Host header, also where no token is needed', async () => {
    expect(await ask('Host: evil.example\r\n')).toMatch(/^HTTP\/1\.1 403[\s\S]*ERR_HOST_REFUSED/)
    expect(await ask(`Host: localhost:${bench.port}\r\n`)).toMatch(/^HTTP\/1\.1 200/)
  })

  it('are refused by the Origin header', async () => {
    const own = `Host: 127.0.0.1:${bench.port}\r\n`
    expect(await ask(`${own}Origin: http://evil.example\r\n`)).toMatch(
      /^HTTP\/1\.1 403[\s\S]*ERR_ORIGIN_REFUSED/,
    )
    expect(await ask(`${own}Origin: http://127.0.0.1:${bench.port}\r\n`)).toMatch(/^HTTP\/1\.1 200/)
  })

  it('cannot post a form', async () => {
    const form = await call(bench, 'POST', '/api/v1/gc', {
      headers: { 'content-type': 'text/plain', 'content-length': '2' },
    }).catch(() => undefined)
    const response = await fetch(`${bench.url}/api/v1/gc`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bench.token}`, 'content-type': 'text/plain' },
      body: '{}',
    })
    expect(form?.status ?? 415).toBe(415)
    expect(response.status).toBe(415)
    expect(await response.json()).toMatchObject({ error: { code: 'ERR_MEDIA_TYPE' } })
  })
})
