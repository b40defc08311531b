import { afterEach, beforeAll, afterAll, describe, expect, it } from 'vitest'
import { MAX_JSON_BODY_BYTES } from '../../../src/api/limits.ts'
import { call, rawConnection } from '../../support/api-calls.ts'
import { type ApiBench, openApi } from '../../support/api-server.ts'

let bench: ApiBench
beforeAll(async () => {
  bench = await openApi({ timeouts: { headersMs: 300, checkingIntervalMs: 50, jsonBodyMs: 300 } })
})
afterAll(() => bench[Symbol.asyncDispose]())
// Whatever was sent, the others are answered.
afterEach(async () => {
  const { status } = await call(bench, 'GET', '/api/v1/status')
  if (status !== 200) throw new Error(`others are answered ${status}`)
})

const answerTo = async (text: string | Uint8Array): Promise<string> => {
  const connection = await rawConnection(bench)
  connection.send(text)
  await connection.closed
  return connection.received
}

const post = (length: number | string, body: string, more = ''): string =>
  `POST /api/v1/peers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${bench.token}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n${more}\r\n${body}`

describe('what is no HTTP', () => {
  it.each([
    ['noise', 'asdf\r\n\r\n'],
    ['binary', Uint8Array.from({ length: 200 }, (_, index) => (index * 37) % 256)],
    ['TLS', Uint8Array.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00])],
    ['no host', 'GET /health/live HTTP/1.1\r\n\r\n'],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
    [
      'smuggling',
      'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
  ])('%s is refused and the connection closed', async (_name, text) => {
    expect(await answerTo(text)).toMatch(/^HTTP\/1\.1 400/)
  })

  it('is refused in the shape of all failures', async () => {
    const body = (await answerTo('asdf\r\n\r\n')).split('\r\n\r\n')[1] ?? ''
    expect(JSON.parse(body)).toMatchObject({
      error: { code: 'ERR_REQUEST_INVALID', kind: 'usage', details: {} },
    })
  })

  it('with endless headers is refused', async () => {
    const many = `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`
    expect(await answerTo(many)).toMatch(/^HTTP\/1\.1 431[\s\S]*ERR_HEADERS_TOO_LARGE/)
  })
})

describe('who is slow', () => {
  it('to send a first byte is dropped', async () => {
    expect(await answerTo('')).toMatch(/^HTTP\/1\.1 408|^$/)
  })

  it('to send the headers is dropped, however many keep coming', async () => {
    const connection = await rawConnection(bench)
    connection.send('GET / HTTP/1.1\r\nHost: localhost\r\n')
    const drip = setInterval(() => connection.send('X-More: 1\r\n'), 30)
    await connection.closed
    clearInterval(drip)
    expect(connection.received).toMatch(/^HTTP\/1\.1 408[\s\S]*ERR_REQUEST_TIMEOUT/)
  })

  it('to send a JSON body is dropped, however many bytes keep coming', async () => {
    const connection = await rawConnection(bench)
    connection.send(post(1000, '{"multiaddr":"'))
    const drip = setInterval(() => connection.send('x'), 30)
    await connection.closed
    clearInterval(drip)
    expect(connection.received).toMatch(/^HTTP\/1\.1 408[\s\S]*ERR_REQUEST_TIMEOUT/)
  })
})

describe('a JSON body', () => {
  it('that is too large is refused, by its announced length and by its true one', async () => {
    expect(await answerTo(post(MAX_JSON_BODY_BYTES + 1, ''))).toMatch(
      /^HTTP\/1\.1 413[\s\S]*ERR_BODY_TOO_LARGE/,
    )
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
    const chunked = `POST /api/v1/peers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${bench.token}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(20)}`
    expect(await answerTo(chunked)).toMatch(/^HTTP\/1\.1 413[\s\S]*ERR_BODY_TOO_LARGE/)
  })

  it.each([
    ['no JSON', 'nope'],
    ['half of one', '{"multiaddr":'],
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[]'],
    ['the wrong type', '{"multiaddr":1}'],
    ['a key too many', '{"multiaddr":"/x","b":1}'],
    ['a prototype', '{"multiaddr":"/x","__proto__":{"a":1}}'],
    ['deep nesting', '['.repeat(100_000)],
  ])('of %s is refused', async (_name, body) => {
    const response = await fetch(`${bench.url}/api/v1/peers`, {
      method: 'POST',
      headers: { authorization: `Bearer ${bench.token}`, 'content-type': 'application/json' },
      body,
    })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { code: 'ERR_REQUEST_INVALID', kind: 'usage' } })
  })
})

it('thousands of requests on a few connections leave nothing behind', async () => {
  const before = process.memoryUsage().heapUsed
  for (let round = 0; round < 20; round += 1) {
    await Promise.all(Array.from({ length: 50 }, () => call(bench, 'GET', '/api/v1/jobs/none')))
  }
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 * 1024)
})
