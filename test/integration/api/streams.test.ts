import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { get as httpGet, type IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { call } from '../../support/api-calls.ts'
import { type ApiBench, openApi } from '../../support/api-server.ts'

let bench: ApiBench
const bytes = randomBytes(300_000)
let cid: string
beforeAll(async () => {
  bench = await openApi({ timeouts: { downloadStallMs: 300 } })
  cid = (await bench.content.put('holiday "1".jpg', bytes)).toString()
})
afterAll(() => bench[Symbol.asyncDispose]())

const cat = (headers: Record<string, string> = {}, more = '', method = 'GET') =>
  fetch(`${bench.url}/api/v1/content/cat?address=${cid}${more}`, {
    method,
    headers: { authorization: `Bearer ${bench.token}`, ...headers },
  })
const bodyOf = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer())

/** A download whose bytes are not read before `resume` or `read`. */
async function openDownload(path: string): Promise<IncomingMessage> {
  const request = httpGet(`${bench.url}${path}`, {
    agent: false,
    headers: { authorization: `Bearer ${bench.token}` },
  })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.on('error', () => undefined)
  return response
}

/** Whether a client that reads to the end can take what it got for whole. */
async function isTakenForWhole(path: string): Promise<boolean> {
  try {
    const response = await openDownload(path)
    response.resume()
    await once(response, 'close')
    return response.complete
  } catch {
    // Ended before the head was out.
    return false
  }
}

describe('cat', () => {
  it('gives the whole file, in a form that no browser runs', async () => {
    const response = await cat()
    expect(response.status).toBe(200)
    expect((await bodyOf(response)).equals(bytes)).toBe(true)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-length': '300000',
      'content-type': 'application/octet-stream',
      'accept-ranges': 'bytes',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
      'content-disposition': `attachment; filename="holiday _1_.jpg"; filename*=UTF-8''holiday%20%221%22.jpg`,
      etag: `"${cid}"`,
    })
  })

  it('gives a range', async () => {
    const response = await cat({ range: 'bytes=1000-1999' })
    expect([response.status, response.headers.get('content-range')]).toEqual([206, 'bytes 1000-1999/300000'])
    expect((await bodyOf(response)).equals(bytes.subarray(1000, 2000))).toBe(true)
    expect((await bodyOf(await cat({ range: 'bytes=-10' }))).equals(bytes.subarray(-10))).toBe(true)
    const outside = await cat({ range: 'bytes=300000-' })
    expect([outside.status, outside.headers.get('content-range')]).toEqual([416, 'bytes */300000'])
    expect((await cat({ range: 'bytes=0-1,5-6' })).status).toBe(200)
  })

  it('gives a part by offset and length, and a range within it', async () => {
    expect((await bodyOf(await cat({}, '&offset=100&length=50'))).equals(bytes.subarray(100, 150))).toBe(true)
    expect((await bodyOf(await cat({}, '&offset=299990'))).equals(bytes.subarray(299_990))).toBe(true)
    expect((await bodyOf(await cat({}, '&offset=400000'))).byteLength).toBe(0)
    expect((await bodyOf(await cat({}, '&length=0'))).byteLength).toBe(0)
    const range = await cat({ range: 'bytes=10-19' }, '&offset=100&length=50')
    expect(range.headers.get('content-range')).toBe('bytes 10-19/50')
    expect((await bodyOf(range)).equals(bytes.subarray(110, 120))).toBe(true)
  })

  it('answers HEAD and If-None-Match without reading anything', async () => {
    const readsBefore = bench.content.signals.length
    const head = await cat({}, '', 'HEAD')
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '300000'])
    const part = await cat({ range: 'bytes=0-9' }, '', 'HEAD')
    expect([part.status, part.headers.get('content-length')]).toEqual([206, '10'])
    const known = await cat({ 'if-none-match': `"${cid}"` })
    expect([known.status, (await bodyOf(known)).byteLength]).toEqual([304, 0])
    expect(bench.content.signals.length).toBe(readsBefore)
    expect((await cat({ 'if-range': '"other"', range: 'bytes=0-1' })).status).toBe(200)
  })

  it('fails with a status before the first byte', async () => {
    const missing = await call(bench, 'GET', '/api/v1/content/cat?address=nothing')
    expect([missing.status, missing.json]).toEqual([
      404,
      { error: { code: 'ERR_NOT_FOUND', kind: 'not-found', message: 'nobody has nothing', details: {} } },
    ])
    expect((await call(bench, 'GET', '/api/v1/content/cat')).status).toBe(400)
  })
})

describe('a stream that fails', () => {
  it('before its first byte has a status, and the connection goes on', async () => {
    // oxlint-disable-next-line require-yield
    bench.content.stream = async function* () {
      throw new P2pnodeError('ERR_FETCH_STALLED', 'timeout', 'nothing comes')
    }
    for (const path of ['tar?address=x&name=x', 'car?address=x']) {
      const { status, json } = await call(bench, 'GET', `/api/v1/content/${path}`)
      expect([status, json]).toMatchObject([504, { error: { code: 'ERR_FETCH_STALLED' } }])
    }
    const listed = await call(bench, 'GET', '/api/v1/content/ls?address=nothing')
    expect(listed.status).toBe(404)
  })

  it('on its way ends the connection, so that no client takes it for whole', async () => {
    bench.content.stream = async function* () {
      for (let sent = 0; sent < 100; sent += 1) yield randomBytes(10_000)
      throw new P2pnodeError('ERR_FETCH_STALLED', 'timeout', 'nothing more comes')
    }
    expect(await isTakenForWhole('/api/v1/content/car?address=x')).toBe(false)
    expect(bench.log.lines.some((line) => JSON.stringify(line).includes('a stream failed on its way'))).toBe(
      true,
    )
  })

  it('by giving fewer bytes than announced ends the connection too', async () => {
    const short = (await bench.content.put('short', randomBytes(50))).toString()
    const resolve = bench.content.resolve.bind(bench.content)
    bench.content.resolve = async (address) => ({ ...(await resolve(address)), size: 60 })
    expect(await isTakenForWhole(`/api/v1/content/cat?address=${short}`)).toBe(false)
    bench.content.resolve = resolve
    expect(await isTakenForWhole(`/api/v1/content/cat?address=${short}`)).toBe(true)
  })
})

describe('a reader', () => {
  /** Yields until it is called off, counting what it gave. */
  function endless(): { given: () => number; ended: Promise<void>; stream: typeof bench.content.stream } {
    let given = 0
    const ended = Promise.withResolvers<void>()
    return {
      given: () => given,
      ended: ended.promise,
      stream: async function* () {
        try {
          for (;;) {
            given += 65_536
            yield Buffer.alloc(65_536)
            await new Promise((resolve) => setImmediate(resolve))
          }
        } finally {
          ended.resolve()
        }
      },
    }
  }

  it('that leaves calls the work off', async () => {
    const source = endless()
    bench.content.stream = source.stream
    const response = await openDownload('/api/v1/content/car?address=x')
    await once(response, 'readable')
    response.destroy()
    await source.ended
    expect(bench.content.signals.at(-1)?.aborted).toBe(true)
  })

  it('that does not read is not read ahead for, and is dropped', async () => {
    const source = endless()
    bench.content.stream = source.stream
    const response = await openDownload('/api/v1/content/car?address=x')
    await source.ended
    // What the kernel and the sockets buffer on loopback, not more.
    expect(source.given()).toBeLessThan(32 * 1024 * 1024)
    response.destroy()
  })

  it('of many streams at once gets each of them whole', async () => {
    const chunks = Array.from({ length: 40 }, () => randomBytes(100_000))
    bench.content.stream = async function* () {
      yield* chunks
    }
    const wanted = createHash('sha256').update(Buffer.concat(chunks)).digest('hex')
    const digests = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const response = await fetch(`${bench.url}/api/v1/content/tar?address=x&name=x`, {
          headers: { authorization: `Bearer ${bench.token}` },
        })
        return createHash('sha256')
          .update(Buffer.from(await response.arrayBuffer()))
          .digest('hex')
      }),
    )
    expect(digests).toEqual(Array.from({ length: 8 }, () => wanted))
  })
})

it('a listing is one JSON text a line', async () => {
  bench.content.entries = [
    { name: 'a\nb', cid: 'bafy', type: 'file', size: 3, mode: null },
    { name: 'link', cid: 'bafz', type: 'symlink', size: null, mode: 0o777, target: '../a' },
  ]
  const { text, headers } = await call(bench, 'GET', '/api/v1/content/ls?address=directory')
  expect(headers.get('content-type')).toBe('application/x-ndjson')
  expect(
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual(bench.content.entries)
})

it('an empty listing is a whole answer', async () => {
  bench.content.entries = []
  const { status, text } = await call(bench, 'GET', '/api/v1/content/ls?address=directory')
  expect([status, text]).toEqual([200, ''])
})
