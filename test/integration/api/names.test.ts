import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, call } from '../../support/api-calls.ts'
import { type ApiBench, openApi, PRIVATE_CID } from '../../support/api-server.ts'
import { newName, rawRecord } from '../../support/names.ts'

const A = '/ipfs/bafkqaaik'

let bench: ApiBench
beforeAll(async () => {
  bench = await openApi()
})
afterAll(() => bench[Symbol.asyncDispose]())

const get = (path: string) => call(bench, 'GET', path)
const post = (path: string, body?: unknown) => call(bench, 'POST', path, { body })
const codeOf = ({ json }: Answer): unknown => (json as { error?: { code: string } }).error?.code

/** As a program sends a file; `call` sends JSON alone. */
async function importRecord(name: string, bytes: Uint8Array): Promise<Answer> {
  const response = await fetch(`${bench.url}/api/v1/names/import?name=${name}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bench.token}`, 'content-type': 'application/octet-stream' },
    body: Uint8Array.from(bytes),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: JSON.parse(text) }
}

describe('names over HTTP', () => {
  it('are published, listed, resolved, shown and taken back', async () => {
    const published = await post('/api/v1/names', { address: `${A}/x`, ttlMs: 1_000, lifetimeMs: 7_200_000 })
    expect(published.json).toMatchObject({ key: 'self', value: `${A}/x`, sequence: '1', told: 0 })
    const { name } = published.json as { name: string }
    expect((await get('/api/v1/names')).json).toMatchObject({ names: [{ name, lifetimeMs: 7_200_000 }] })
    for (const form of [name, `/ipns/${name}`, `ipns://${name}`]) {
      const resolved = await get(`/api/v1/names/resolve?name=${encodeURIComponent(`${form}/y`)}`)
      expect(resolved.json).toEqual({ path: `${A}/x/y`, ttlMs: 1_000 })
    }
    const { record } = (await get(`/api/v1/names/record?name=${name}`)).json as { record: string }
    expect(await importRecord(name, Buffer.from(record, 'base64'))).toMatchObject({ status: 200 })
    expect((await call(bench, 'DELETE', '/api/v1/names/self')).status).toBe(200)
    expect((await get('/api/v1/names')).json).toEqual({ names: [] })
    expect(codeOf(await call(bench, 'DELETE', '/api/v1/names/self'))).toBe('ERR_NAME_NOT_FOUND')
  })

  it('have keys', async () => {
    const made = await post('/api/v1/names/keys', { key: 'stable' })
    expect(made.status).toBe(201)
    expect((await get('/api/v1/names/keys')).json).toMatchObject({ keys: [{ key: 'self' }, made.json] })
    expect((await post('/api/v1/names/keys', { key: 'stable' })).status).toBe(409)
    expect((await call(bench, 'DELETE', '/api/v1/names/keys/stable')).status).toBe(200)
    expect((await call(bench, 'DELETE', '/api/v1/names/keys/stable')).status).toBe(404)
  })

  it('follow the configured domains, and ask no DNS', async () => {
    const { json } = await get('/api/v1/names/resolve?name=docs.example/intro')
    expect(json).toMatchObject({ path: `/ipfs/${PRIVATE_CID}/docs/intro` })
    const other = await get('/api/v1/names/resolve?name=example.org')
    expect([other.status, codeOf(other)]).toEqual([404, 'ERR_NAME_NOT_FOUND'])
  })

  it('answer what is wrong with a status and a code', async () => {
    const { key, name } = await newName()
    const stranger = await newName()
    for (const [answer, status, code] of [
      [await post('/api/v1/names', { address: PRIVATE_CID }), 409, 'ERR_CONTENT_PRIVATE'],
      [await post('/api/v1/names', { address: 'nonsense' }), 400, 'ERR_ADDRESS_INVALID'],
      [await post('/api/v1/names', { address: A, key: 'none' }), 404, 'ERR_KEY_NOT_FOUND'],
      [await post('/api/v1/names', { address: A, lifetimeMs: 1 }), 400, 'ERR_LIFETIME_INVALID'],
      [await post('/api/v1/names', { address: A, other: 1 }), 400, 'ERR_REQUEST_INVALID'],
      [await post('/api/v1/names', {}), 400, 'ERR_REQUEST_INVALID'],
      [await get('/api/v1/names/resolve?name='), 400, 'ERR_REQUEST_INVALID'],
      [await get('/api/v1/names/resolve?name=nonsense'), 400, 'ERR_NAME_INVALID'],
      [await get(`/api/v1/names/record?name=${name.text}`), 404, 'ERR_NAME_NOT_FOUND'],
      [await importRecord(name.text, new Uint8Array()), 422, 'ERR_RECORD_INVALID'],
      [await importRecord(name.text, new Uint8Array(20_000)), 413, 'ERR_BODY_TOO_LARGE'],
      [await importRecord(name.text, await rawRecord(stranger.key)), 422, 'ERR_RECORD_INVALID'],
      [
        await importRecord(
          name.text,
          await rawRecord(key, { Validity: Buffer.from('2001-01-01T00:00:00Z') }),
        ),
        422,
        'ERR_RECORD_EXPIRED',
      ],
    ] as const) {
      expect([answer.status, codeOf(answer)]).toEqual([status, code])
    }
  })
})
