import { existsSync } from 'node:fs'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createApi } from '../../../src/api/index.ts'
import { call, rawConnection } from '../../support/api-calls.ts'
import { type ApiBench, openApi } from '../../support/api-server.ts'
import { createMetrics } from '../../../src/telemetry/metrics.ts'

let bench: ApiBench
beforeEach(async () => {
  bench = await openApi({ timeouts: { closeGraceMs: 300 } })
})
afterEach(() => bench[Symbol.asyncDispose]())

it('tells clients where it is, and takes that back when it closes', async () => {
  const path = join(bench.home, 'api.json')
  const file = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
  expect(file).toEqual({
    url: bench.url,
    pid: process.pid,
    version: '0.0.0-test',
    startedAtMs: expect.any(Number),
  })
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  await bench.api.close()
  expect(existsSync(path)).toBe(false)
})

it('leaves the announcement of another daemon alone', async () => {
  const path = join(bench.home, 'api.json')
  await writeFile(path, JSON.stringify({ url: 'http://127.0.0.1:1', pid: 1, version: 'x', startedAtMs: 1 }))
  await bench.api.close()
  expect(existsSync(path)).toBe(true)
})

it('says what to do where the port is in use', async () => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as { port: number }
  const metrics = createMetrics({ watchEventLoop: false })
  const api = await createApi({ ...bench.dependencies, metrics, listen: { host: '127.0.0.1', port } })
  await expect(api.listen()).rejects.toMatchObject({
    code: 'ERR_API_LISTEN',
    kind: 'conflict',
    message: expect.stringContaining('api.port'),
  })
  await api.close()
  await new Promise((resolve) => other.close(resolve))
})

it('closes before it listened, and twice', async () => {
  const metrics = createMetrics({ watchEventLoop: false })
  const api = await createApi({ ...bench.dependencies, metrics })
  await Promise.all([api.close(), api.close()])
  await expect(api.close()).resolves.toBeUndefined()
})

it('is no longer ready as soon as it closes, lets a running request finish, and ends the rest', async () => {
  // Long enough that nothing is destroyed on a busy machine.
  await using patient = await openApi({ timeouts: { closeGraceMs: 30_000 } })
  const started = Promise.withResolvers<void>()
  const finish = Promise.withResolvers<void>()
  patient.content.stream = async function* () {
    yield Buffer.from('first ')
    started.resolve()
    await finish.promise
    yield Buffer.from('last')
  }
  const kept = await rawConnection(patient)
  const request = `GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n`
  kept.send(
    `GET /api/v1/content/car?address=x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${patient.token}\r\n\r\n`,
  )
  await started.promise
  const events = await rawConnection(patient)
  events.send(
    `GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${patient.token}\r\n\r\n`,
  )
  await events.until(/p2pnode/)
  const { id } = await patient.jobs.submit('gc', {})
  const waiting = call(patient, 'GET', `/api/v1/jobs/${id}/wait?timeoutMs=60000`)
  // A second connection with a request begun but not sent in full, as a load balancer's probe may be.
  const probe = await rawConnection(patient)
  probe.send(request.slice(0, -2))
  await new Promise((resolve) => setTimeout(resolve, 50))

  const closed = patient.api.close()
  probe.send('\r\n')
  expect(await probe.until(/\}/)).toMatch(/^HTTP\/1\.1 503[\s\S]*"stopping"/)
  await events.closed
  expect(events.received).toContain('"health":"stopping"')
  expect((await waiting).json).toMatchObject({ id, endedAtMs: null })
  // Whoever asks anew is told too, and gets nothing else.
  expect((await fetch(`${patient.url}/health/ready`)).status).toBe(503)
  expect((await fetch(`${patient.url}/health/live`)).status).toBe(200)
  expect((await call(patient, 'GET', '/api/v1/status')).json).toMatchObject({
    error: { code: 'ERR_STOPPING' },
  })
  finish.resolve()
  expect(await kept.until(/last/)).toMatch(/last\r\n0\r\n\r\n$/)
  await closed
  await expect(fetch(`${patient.url}/health/live`)).rejects.toThrow('fetch failed')
})

it('does not wait for ever for a stream that does not end', async () => {
  const calledOff = Promise.withResolvers<unknown>()
  bench.content.stream = async function* (signal) {
    signal.addEventListener('abort', calledOff.resolve)
    yield Buffer.from('first')
    await calledOff.promise
  }
  const hanging = await rawConnection(bench)
  hanging.send(
    `GET /api/v1/content/car?address=x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${bench.token}\r\n\r\n`,
  )
  await hanging.until(/first/)
  const beganAt = performance.now()
  await bench.api.close()
  expect(performance.now() - beganAt).toBeLessThan(3_000)
  await hanging.closed
  expect(hanging.received).not.toMatch(/0\r\n\r\n$/)
  await calledOff.promise
})

it('runs many times in one process', async () => {
  const others = await Promise.all(Array.from({ length: 5 }, () => openApi()))
  expect(new Set(others.map(({ port }) => port)).size).toBe(5)
  for (const other of others) {
    expect((await call(other, 'GET', '/api/v1/status')).status).toBe(200)
    // A token of one node is nothing to another.
    expect((await call(other, 'GET', '/api/v1/status', { token: bench.token })).status).toBe(401)
  }
  await Promise.all(others.map((other) => other[Symbol.asyncDispose]()))
})
