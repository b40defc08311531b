import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createApi } from '../../../src/api/index.ts'
import { connectionLost } from '../../../src/client/errors.ts'
import { Client, exitCodeOf, locate } from '../../../src/client/index.ts'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import { type ApiBench, openApi } from '../../support/api-server.ts'

let bench: ApiBench
let client: Client
beforeEach(async () => {
  bench = await openApi({ timeouts: { closeGraceMs: 100 } })
  client = new Client(locate({ home: bench.home }))
})
afterEach(async () => {
  client.close()
  await bench[Symbol.asyncDispose]()
})

const params = {
  source: 'file',
  name: 'x',
  profile: 'unixfs-v1-2025',
  pin: null,
  preserveMode: false,
} as const
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

async function* chunksOf(bytes: Uint8Array, size = 60_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size)
}

async function gather(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

describe('calls', () => {
  it('return data, and throw the daemon’s own errors', async () => {
    expect((await client.get('/api/v1/status')).health).toBe('ready')
    expect(await client.get('/api/v1/jobs', { params: { query: { limit: 5 } } })).toEqual({ jobs: [] })
    const failure = await client
      .get('/api/v1/jobs/{id}', { params: { path: { id: 'a/b' } } })
      .catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'ERR_JOB_NOT_FOUND', kind: 'not-found' })
    expect(exitCodeOf(failure as { code: string; kind: string })).toBe(4)
  })

  it('say that no daemon answers', async () => {
    await bench.api.close()
    expect(() => locate({ home: bench.home })).toThrow(expect.objectContaining({ code: 'ERR_NO_DAEMON' }))
    await expect(client.get('/api/v1/status')).rejects.toMatchObject({
      code: 'ERR_NO_DAEMON',
      message: `No daemon answers at ${bench.url}; start one with: p2pnode start`,
    })
  })

  it('say that there is no token, or the wrong one', async () => {
    expect(locate({ home: bench.home, api: 'http://127.0.0.1:1', token: 't' })).toEqual({
      url: 'http://127.0.0.1:1',
      token: 't',
    })
    const wrong = new Client({ url: bench.url, token: 'wrong' })
    await expect(wrong.get('/api/v1/status')).rejects.toMatchObject({
      code: 'ERR_UNAUTHORIZED',
      kind: 'denied',
    })
    wrong.close()
    await rm(join(bench.home, 'api.token'))
    expect(() => locate({ home: bench.home })).toThrow(expect.objectContaining({ code: 'ERR_NO_TOKEN' }))
    await writeFile(join(bench.home, 'api.json'), 'half of a fi')
    expect(() => locate({ home: bench.home })).toThrow(expect.objectContaining({ code: 'ERR_NO_DAEMON' }))
  })

  it('can be called off', async () => {
    const { id } = await client.post('/api/v1/gc')
    const over = new AbortController()
    const waiting = client.waitForJob(id, { signal: over.signal })
    setTimeout(() => over.abort(), 50)
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_CANCELLED', kind: 'cancelled' })
  })

  it('wait for jobs, and throw what a job failed with', async () => {
    const done = await client.post('/api/v1/content/get', { body: { address: 'bafy' } })
    expect(await client.resultOfJob(done.id)).toEqual({ address: 'bafy' })
    const failing = await client.post('/api/v1/content/get', { body: { address: 'missing' } })
    await expect(client.resultOfJob(failing.id)).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      kind: 'not-found',
    })
    const long = await client.post('/api/v1/gc')
    await client.post('/api/v1/jobs/{id}/cancel', { params: { path: { id: long.id } } })
    await expect(client.resultOfJob(long.id)).rejects.toMatchObject({ kind: 'cancelled' })
  })
})

describe('downloads', () => {
  it('are whole', async () => {
    const bytes = randomBytes(500_000)
    const address = (await bench.content.put('x', bytes)).toString()
    const { body, headers } = await client.download('/api/v1/content/cat', { query: { address } })
    expect(headers['content-length']).toBe('500000')
    expect((await gather(body)).equals(bytes)).toBe(true)
    const part = await client.download('/api/v1/content/cat', {
      query: { address },
      headers: { range: 'bytes=-5' },
    })
    expect([part.status, (await gather(part.body)).equals(bytes.subarray(-5))]).toEqual([206, true])
    expect((await gather((await client.download('/api/v1/backup')).body)).toString()).toBe('snapshot')
  })

  it('that are cut off throw, and are never taken for whole', async () => {
    bench.content.stream = async function* () {
      for (let sent = 0; sent < 100; sent += 1) yield randomBytes(10_000)
      throw new Error('broken')
    }
    const outcome = client
      .download('/api/v1/content/car', { query: { address: 'x' } })
      .then(({ body }) => gather(body))
    await expect(outcome).rejects.toMatchObject({ code: 'ERR_CONNECTION_LOST' })
  })

  it('can be called off', async () => {
    bench.content.stream = async function* () {
      for (;;) yield randomBytes(1000)
    }
    const over = new AbortController()
    const { body } = await client.download('/api/v1/content/car', {
      query: { address: 'x' },
      signal: over.signal,
    })
    const reading = (async () => {
      for await (const _ of body) over.abort()
    })()
    await expect(reading).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
  })

  it('of lines come one by one', async () => {
    bench.content.entries = [{ name: 'ü\n', cid: 'bafy', type: 'file', size: 3, mode: null }]
    const entries = []
    for await (const entry of client.lines('/api/v1/content/ls', { query: { address: 'directory' } }))
      entries.push(entry)
    expect(entries).toEqual(bench.content.entries)
  })
})

describe('an upload', () => {
  it('is cut into parts and arrives whole', async () => {
    const bytes = randomBytes(1_000_003)
    const offsets: number[] = []
    bench.kinds.received.length = 0
    const { job } = await client.upload({
      open: { kind: 'add', params, fingerprint: 'a', size: bytes.byteLength },
      source: (offset) => chunksOf(bytes.subarray(offset)),
      partBytes: 250_000,
      onProgress: (offset) => offsets.push(offset),
    })
    expect(await client.resultOfJob(job.id)).toEqual({ size: bytes.byteLength })
    expect(offsets).toEqual([0, 250_000, 500_000, 750_000, 1_000_000, 1_000_003])
    expect(sha256(Buffer.concat(bench.kinds.received))).toBe(sha256(bytes))
  })

  it('of nothing is a whole upload', async () => {
    const { job } = await client.upload({
      open: { kind: 'add', params, fingerprint: 'empty', size: 0 },
      source: () => chunksOf(Buffer.alloc(0)),
    })
    expect(await client.resultOfJob(job.id)).toEqual({ size: 0 })
  })

  it('goes on where it was, with a daemon that was restarted elsewhere meanwhile', async () => {
    const bytes = randomBytes(600_000)
    bench.kinds.received.length = 0
    let restarted: Promise<unknown> | undefined
    const metrics = createMetrics({ watchEventLoop: false })
    const second = await createApi({ ...bench.dependencies, metrics })
    const starts: number[] = []
    const { job } = await client.upload({
      open: { kind: 'add', params, fingerprint: 'restart', size: bytes.byteLength },
      source: (offset) => {
        starts.push(offset)
        return (async function* () {
          for await (const chunk of chunksOf(bytes.subarray(offset), 50_000)) {
            if (
              starts.length === 1 &&
              offset === 0 &&
              restarted === undefined &&
              bench.kinds.received.length > 3
            ) {
              // Cuts the connection in the middle of a part.
              restarted = bench.api.close().then(() => second.listen())
              await restarted
            }
            yield chunk
          }
        })()
      },
      relocate: () => locate({ home: bench.home }),
      partBytes: 200_000,
    })
    expect(restarted).toBeDefined()
    expect(await client.resultOfJob(job.id)).toEqual({ size: bytes.byteLength })
    expect(starts.length).toBeGreaterThan(1)
    expect(starts.at(-1)).toBeGreaterThan(0)
    expect(sha256(Buffer.concat(bench.kinds.received))).toBe(sha256(bytes))
    await second.close()
  })

  it('whose last answer was lost is not sent again', async () => {
    const bytes = randomBytes(1000)
    bench.kinds.received.length = 0
    const { transport } = client
    const json = transport.json.bind(transport)
    let lost = 0
    transport.json = async (options) => {
      const answer = await json(options)
      if (options.path.endsWith('/complete') && lost === 0) {
        lost += 1
        const [job] = bench.jobs.list({ limit: 1 })
        await bench.jobs.wait(job?.id ?? '', AbortSignal.timeout(5000))
        throw connectionLost(bench.url)
      }
      return answer
    }
    const { job } = await client.upload({
      open: { kind: 'add', params, fingerprint: 'lost', size: 1000 },
      source: (offset) => chunksOf(bytes.subarray(offset)),
    })
    expect(lost).toBe(1)
    expect((await client.resultOfJob(job.id)) as object).toEqual({ size: 1000 })
    expect(bench.jobs.list({ kind: 'add' }).length).toBe(1)
  })

  it('fails with the error of its source, and of its job', async () => {
    const failing = client.upload({
      open: { kind: 'add', params, fingerprint: 'b', size: null },
      // oxlint-disable-next-line require-yield
      source: async function* () {
        throw new Error('the file is gone')
      },
    })
    await expect(failing).rejects.toThrow('the file is gone')
    const tooLong = client.upload({
      open: { kind: 'add', params, fingerprint: 'c', size: 3 },
      source: () => chunksOf(Buffer.from('four')),
    })
    await expect(tooLong).rejects.toMatchObject({ code: 'ERR_UPLOAD_SIZE' })
  })

  it('to no daemon fails at once', async () => {
    await bench.api.close()
    const lost = client.upload({
      open: { kind: 'add', params, fingerprint: 'd', size: null },
      source: () => chunksOf(Buffer.from('x')),
    })
    await expect(lost).rejects.toMatchObject({ code: 'ERR_NO_DAEMON' })
  })
})

describe('against something else on the port', () => {
  let server: Server
  const listen = async (answer: (end: (status: number, body: string) => void) => void): Promise<Client> => {
    server = createServer((_request, response) =>
      answer((status, body) => response.writeHead(status).end(body)),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new Client({ url: `http://127.0.0.1:${(server.address() as { port: number }).port}` })
  }
  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  it('says that it is no p2pnode', async () => {
    for (const [status, body] of [
      [200, '<html>'],
      [404, 'not here'],
      [500, '{"error":"text"}'],
    ] as const) {
      const stranger = await listen((end) => end(status, body))
      await expect(stranger.get('/api/v1/status')).rejects.toMatchObject({ code: 'ERR_ANSWER_INVALID' })
      stranger.close()
      server.close()
    }
  })
})

it('costs a command a few milliseconds, and loads nothing of the daemon', async () => {
  const script = `
    const began = performance.now()
    const { Client } = await import(${JSON.stringify(new URL('../../../src/client/index.ts', import.meta.url).href)})
    new Client({ url: 'http://127.0.0.1:1' })
    const tookMs = performance.now() - began
    const undici = process.moduleLoadList.some((name) => name.includes('undici'))
    console.log(JSON.stringify({ tookMs, undici }))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  const { undici } = JSON.parse(stdout) as { undici: boolean }
  expect(undici).toBe(false)
})

it.each(['', 'localhost', 'ftp://localhost', '127.0.0.1:4780'])(
  'refuses %j as the URL of an API',
  async (url) => {
    await expect(new Client({ url }).get('/api/v1/status')).rejects.toMatchObject({
      code: 'ERR_API_URL',
      kind: 'usage',
    })
  },
)
