import { afterEach, describe, expect, it, test } from 'vitest'
import { movable } from '../../../src/workers/index.ts'
import { MAX_WAITING_CALLS } from '../../../src/workers/limits.ts'
import { createWorkerPool, type WorkerPool, type WorkerPoolOptions } from '../../../src/workers/pool.ts'
import { eventually, quietLogger } from '../../support/network.ts'

const entry = new URL('../../support/worker-tasks-child.ts', import.meta.url)
const pools: WorkerPool[] = []
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()))
})

function openPool(threads = 1, options: Partial<WorkerPoolOptions> = {}) {
  const pool = createWorkerPool({ threads, log: quietLogger(), ...options })
  pools.push(pool)
  const never = new AbortController().signal
  const run = <T>(task: string, args: unknown = null, signal = never, transfer: ArrayBuffer[] = []) =>
    pool.run<T>({ entry, task, args, transfer, signal })
  return { pool, run }
}

/** A call that keeps its thread busy until it is told. */
async function holdThread(run: ReturnType<typeof openPool>['run'], signal?: AbortSignal) {
  const flag = new Int32Array(new SharedArrayBuffer(8))
  const held = run<string>('hold', flag, signal)
  held.catch(() => {})
  const started = Atomics.waitAsync(flag, 1, 0)
  if (started.async) await started.value
  return {
    held,
    release() {
      Atomics.store(flag, 0, 1)
      Atomics.notify(flag, 0)
    },
  }
}

describe('a pool', () => {
  it('gives back what a task gives, and moves what is to be moved', async () => {
    const { run } = openPool()
    const bytes = Uint8Array.of(1, 2, 3)
    expect(await run('double', bytes, undefined, [bytes.buffer])).toEqual(Uint8Array.of(2, 4, 6))
    expect(bytes.length).toBe(0)
  })

  it('keeps code, kind and details of an error that was raised on purpose', async () => {
    const { run } = openPool()
    await expect(run('refuse', 'not this one')).rejects.toMatchObject({
      name: 'P2pnodeError',
      code: 'ERR_TEST',
      kind: 'denied',
      message: 'not this one',
      details: { why: 'test' },
    })
  })

  it('goes on after a mistake in a task, a thread that ended, and an entry that is not there', async () => {
    const { pool, run } = openPool()
    await expect(run('fail')).rejects.toMatchObject({ code: 'ERR_WORKERS_FAILED', kind: 'failed' })
    await expect(run('end')).rejects.toMatchObject({ code: 'ERR_WORKERS_FAILED' })
    const absent = { entry: new URL('./absent.worker.ts', import.meta.url), task: 'x', args: null }
    await expect(pool.run({ ...absent, signal: new AbortController().signal })).rejects.toMatchObject({
      code: 'ERR_WORKERS_FAILED',
    })
    await expect(run('absent')).rejects.toMatchObject({ code: 'ERR_WORKERS_FAILED' })
    expect(await run('double', Uint8Array.of(4))).toEqual(Uint8Array.of(8))
  })

  it('takes calls in order', async () => {
    const { run } = openPool()
    const busy = await holdThread(run)
    const names = Array.from({ length: 50 }, (_, at) => `call ${at}`)
    const notes = names.map((name) => run<{ order: string[] }>('note', name))
    busy.release()
    expect((await Promise.all(notes)).at(-1)?.order).toEqual(names)
  })

  it('uses all its threads', async () => {
    const { run } = openPool(2)
    const first = await holdThread(run)
    const second = await holdThread(run)
    first.release()
    second.release()
    expect(await Promise.all([first.held, second.held])).toEqual(['held', 'held'])
  })

  it('takes a call that is cancelled out of the line, and answers one that runs at once', async () => {
    const { run } = openPool()
    const running = new AbortController()
    const busy = await holdThread(run, running.signal)
    const ahead = run<{ order: string[] }>('note', 'ahead')
    const waiting = new AbortController()
    const second = run('note', 'cancelled', waiting.signal)
    waiting.abort()
    await expect(second).rejects.toMatchObject({ code: 'ERR_CANCELLED', kind: 'cancelled' })
    running.abort()
    await expect(busy.held).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    busy.release()
    expect((await ahead).order).toEqual(['ahead'])
    await expect(run('note', 'late', AbortSignal.abort())).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    expect((await run<{ order: string[] }>('note', 'last')).order).toEqual(['ahead', 'last'])
  })

  it('refuses what is over its bound', async () => {
    const { run } = openPool()
    const busy = await holdThread(run)
    const calls = Array.from({ length: MAX_WAITING_CALLS + 1 }, () => run<{ order: string[] }>('note', 'x'))
    await expect(run('note', 'one too many')).rejects.toMatchObject({
      code: 'ERR_WORKERS_BUSY',
      kind: 'busy',
    })
    busy.release()
    await Promise.all(calls)
  })

  it('ends its threads and refuses everything when it is closed, also twice', async () => {
    const { pool, run } = openPool()
    const busy = await holdThread(run)
    const given = run('note', 'given')
    const waiting = run('note', 'waiting')
    const failures = Promise.allSettled([busy.held, given, waiting])
    await pool.close()
    for (const failure of await failures) {
      expect(failure).toMatchObject({ status: 'rejected', reason: { code: 'ERR_WORKERS_CLOSED' } })
    }
    await expect(run('note')).rejects.toMatchObject({ code: 'ERR_WORKERS_CLOSED', kind: 'unavailable' })
    await pool.close()
    await openPool().pool.close()
  })

  it('ends threads that have no work, and starts others', async () => {
    const { run } = openPool(1, { idleThreadMs: 1 })
    const seen = new Set<number>()
    await eventually('another thread', async () => {
      seen.add((await run<{ threadId: number }>('note', 'x')).threadId)
      return seen.size > 1
    })
  })

  it('hands its threads no environment', async () => {
    const { run } = openPool()
    expect(await run('environment')).toEqual([])
  })
})

test('of a view only its own bytes move', () => {
  const whole = Uint8Array.of(1, 2, 3)
  expect(movable(whole).buffer).toBe(whole.buffer)
  const part = movable(whole.subarray(1))
  expect(part).toEqual(Uint8Array.of(2, 3))
  expect(part.buffer.byteLength).toBe(2)
  expect(movable(Buffer.from('abc')).buffer.byteLength).toBe(3)
  const shared = new Uint8Array(new SharedArrayBuffer(2))
  expect(movable(shared).buffer).toBeInstanceOf(ArrayBuffer)
})
