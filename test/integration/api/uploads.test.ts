import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MAX_UPLOAD_PART_BYTES } from '../../../src/api/limits.ts'
import type { JobRecord, UploadStatus } from '../../../src/jobs/index.ts'
import { call, rawConnection } from '../../support/api-calls.ts'
import { type ApiBench, openApi } from '../../support/api-server.ts'
import { until } from '../../support/jobs.ts'

let bench: ApiBench
beforeAll(async () => {
  bench = await openApi({ timeouts: { uploadIdleMs: 300 } })
})
afterAll(() => bench[Symbol.asyncDispose]())

let count = 0
const params = { source: 'file', name: 'x', profile: 'unixfs-v1-2025', pin: null, preserveMode: false }
const openUpload = async (size: number | null = null, fingerprint = `f${(count += 1)}`) => {
  const answer = await call(bench, 'POST', '/api/v1/uploads', {
    body: { kind: 'add', params, fingerprint, size },
  })
  return { ...answer, ...(answer.json as { upload: UploadStatus; job: JobRecord }), fingerprint }
}
const patch = async (
  id: string,
  offset: number | string,
  body: Uint8Array,
  headers: Record<string, string> = {},
) => {
  const response = await fetch(`${bench.url}/api/v1/uploads/${id}`, {
    method: 'PATCH',
    headers: {
      authorization: `Bearer ${bench.token}`,
      'content-type': 'application/octet-stream',
      'upload-offset': String(offset),
      ...headers,
    },
    body: Buffer.from(body),
  })
  return {
    status: response.status,
    json: (await response.json()) as UploadStatus & { error: { code: string; details: object } },
  }
}
const statusOf = async (id: string) =>
  (await call(bench, 'GET', `/api/v1/uploads/${id}`)).json as UploadStatus

describe('an upload', () => {
  it('in parts reaches its job in order', async () => {
    bench.kinds.received.length = 0
    const bytes = randomBytes(200_000)
    const { status, upload, job } = await openUpload(bytes.byteLength)
    expect([status, upload.offset]).toEqual([201, 0])
    expect((await patch(upload.id, 0, bytes.subarray(0, 70_000))).json).toMatchObject({ offset: 70_000 })
    expect((await patch(upload.id, 70_000, bytes.subarray(70_000))).json).toMatchObject({ offset: 200_000 })
    const complete = await call(bench, 'POST', `/api/v1/uploads/${upload.id}/complete`, {
      body: { size: 200_000 },
    })
    expect(complete.status).toBe(200)
    const ended = await call(bench, 'GET', `/api/v1/jobs/${job.id}/wait`)
    expect(ended.json).toMatchObject({ state: 'done', result: { size: 200_000 } })
    expect(Buffer.concat(bench.kinds.received).equals(bytes)).toBe(true)
  })

  it('is taken up again by its fingerprint while it is not finished', async () => {
    const first = await openUpload()
    await patch(first.upload.id, 0, Buffer.from('abc'))
    const again = await openUpload(null, first.fingerprint)
    expect([again.status, again.upload.id, again.upload.offset]).toEqual([200, first.upload.id, 3])
  })

  it('tells the right offset where a part has a wrong one', async () => {
    const { upload } = await openUpload()
    await patch(upload.id, 0, Buffer.from('abc'))
    for (const offset of [0, 2, 4]) {
      const { status, json } = await patch(upload.id, offset, Buffer.from('x'))
      expect([status, json.error.code, json.error.details]).toEqual([409, 'ERR_UPLOAD_OFFSET', { offset: 3 }])
    }
    expect((await patch(upload.id, 3, Buffer.from('d'))).json.offset).toBe(4)
  })

  it('needs an offset, the right type, and a session', async () => {
    const { upload } = await openUpload()
    for (const offset of ['', 'x', '-1', '1.5']) {
      expect((await patch(upload.id, offset, Buffer.from('x'))).json.error.code).toBe('ERR_REQUEST_INVALID')
    }
    expect(
      (await patch(upload.id, 0, Buffer.from('{}'), { 'content-type': 'application/json' })).status,
    ).toBe(415)
    expect((await patch('none', 0, Buffer.from('x'))).json.error.code).toBe('ERR_UPLOAD_NOT_FOUND')
    expect((await call(bench, 'GET', '/api/v1/uploads/none')).status).toBe(404)
  })

  it('of a wrong size, kind or parameters is refused', async () => {
    const post = (body: object) => call(bench, 'POST', '/api/v1/uploads', { body })
    expect((await post({ kind: 'gc', params: {}, fingerprint: 'f', size: null })).status).toBe(400)
    expect(
      (await post({ kind: 'add', params: { ...params, extra: 1 }, fingerprint: 'f', size: null })).status,
    ).toBe(400)
    expect((await post({ kind: 'add', params, fingerprint: '', size: null })).status).toBe(400)
    expect(
      (await post({ kind: 'car-import', params: { pin: 'mine' }, fingerprint: 'car', size: 3 })).status,
    ).toBe(201)
    const { upload } = await openUpload(3)
    expect((await patch(upload.id, 0, Buffer.from('abcd'))).json.error.code).toBe('ERR_UPLOAD_SIZE')
  })
})

describe('a part', () => {
  it('that says it is too large is refused before it is read', async () => {
    const { upload } = await openUpload()
    const connection = await rawConnection(bench)
    connection.send(
      `PATCH /api/v1/uploads/${upload.id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${bench.token}\r\nContent-Type: application/octet-stream\r\nUpload-Offset: 0\r\nContent-Length: ${MAX_UPLOAD_PART_BYTES + 1}\r\n\r\n`,
    )
    await connection.closed
    expect(connection.received).toMatch(/^HTTP\/1\.1 413[\s\S]*ERR_BODY_TOO_LARGE/)
    expect((await statusOf(upload.id)).offset).toBe(0)
  })

  it('that breaks off keeps what was taken, and the client goes on from there', async () => {
    bench.kinds.received.length = 0
    const { upload, job } = await openUpload()
    const request = httpRequest(`${bench.url}/api/v1/uploads/${upload.id}`, {
      method: 'PATCH',
      agent: false,
      headers: {
        authorization: `Bearer ${bench.token}`,
        'content-type': 'application/octet-stream',
        'upload-offset': 0,
      },
    })
    request.on('error', () => undefined)
    request.write('first half ')
    await until(bench.jobs, job.id, ({ progress }) => progress?.done === 11)
    request.destroy()
    await until(bench.jobs, job.id, ({ state }) => state === 'needs-source')
    const { offset } = await statusOf(upload.id)
    expect(offset).toBe(11)
    expect((await patch(upload.id, offset, Buffer.from('second half'))).status).toBe(200)
    await call(bench, 'POST', `/api/v1/uploads/${upload.id}/complete`, { body: { size: 22 } })
    expect((await call(bench, 'GET', `/api/v1/jobs/${job.id}/wait`)).json).toMatchObject({
      result: { size: 22 },
    })
    expect(Buffer.concat(bench.kinds.received).toString()).toBe('first half second half')
  })

  it('that sends nothing more is given up, and the session lives on', async () => {
    const { upload } = await openUpload()
    const connection = await rawConnection(bench)
    connection.send(
      `PATCH /api/v1/uploads/${upload.id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${bench.token}\r\nContent-Type: application/octet-stream\r\nUpload-Offset: 0\r\nContent-Length: 100\r\n\r\nabc`,
    )
    await connection.closed
    expect(connection.received).toMatch(/^HTTP\/1\.1 504[\s\S]*ERR_UPLOAD_IDLE/)
    expect((await patch(upload.id, 3, Buffer.from('d'))).json.offset).toBe(4)
  })

  it('waits for the job that takes it: the client is held back, nothing is buffered', async () => {
    const taking = Promise.withResolvers<void>()
    bench.jobs.register({
      kind: 'car-import-slow',
      concurrency: 1,
      resumable: false,
      title: () => 'slow',
      run: async ({ source }) => {
        await taking.promise
        let size = 0
        for await (const chunk of source!) size += chunk.byteLength
        return { size }
      },
    })
    const job = await bench.jobs.submit(
      'car-import-slow',
      {},
      { upload: { fingerprint: 'slow', size: null } },
    )
    const upload = bench.jobs.uploadOfJob(job.id)!
    const request = httpRequest(`${bench.url}/api/v1/uploads/${upload.id}`, {
      method: 'PATCH',
      agent: false,
      headers: {
        authorization: `Bearer ${bench.token}`,
        'content-type': 'application/octet-stream',
        'upload-offset': 0,
      },
    })
    const answered = once(request, 'response')
    const chunk = Buffer.alloc(256 * 1024)
    const total = 48 * 1024 * 1024
    let written = 0
    let heldAt: number | undefined
    while (written < total) {
      written += chunk.byteLength
      if (request.write(chunk)) continue
      const drained = once(request, 'drain').then(() => true)
      const patience = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 200))
      if (heldAt === undefined && !(await Promise.race([drained, patience]))) {
        heldAt = written
        taking.resolve()
      }
      await drained
    }
    // What the kernel holds on both ends, and not what the client still had.
    expect(heldAt).toBeLessThan(total / 2)
    request.end()
    const [response] = (await answered) as [{ statusCode: number; resume(): void }]
    expect(response.statusCode).toBe(200)
    response.resume()
    await call(bench, 'POST', `/api/v1/uploads/${upload.id}/complete`, { body: { size: total } })
    expect((await bench.jobs.wait(job.id, AbortSignal.timeout(5000))).result).toEqual({ size: total })
  })

  it('of a job that is cancelled meanwhile is answered with that', async () => {
    const { upload, job } = await openUpload()
    const connection = await rawConnection(bench)
    connection.send(
      `PATCH /api/v1/uploads/${upload.id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${bench.token}\r\nContent-Type: application/octet-stream\r\nUpload-Offset: 0\r\nContent-Length: 100\r\n\r\nabc`,
    )
    await until(bench.jobs, job.id, ({ progress }) => progress?.done === 3)
    await call(bench, 'POST', `/api/v1/jobs/${job.id}/cancel`)
    await connection.closed
    expect(connection.received).toMatch(/^HTTP\/1\.1 499[\s\S]*"kind":"cancelled"/)
  })
})
