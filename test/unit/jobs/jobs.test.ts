import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { JobContext, JobHandler, JobRecord } from '../../../src/jobs/index.ts'
import { openJobs, patience, temporaryFolder, until } from '../../support/jobs.ts'

type AnyHandler = JobHandler

function handler(
  run: (context: JobContext<unknown>) => Promise<unknown>,
  rest: Partial<AnyHandler> = {},
): AnyHandler {
  return { kind: 'work', concurrency: 1, resumable: true, title: () => 'work', run, ...rest }
}

/** Runs until it is told to end, as a well-behaved handler does. */
function untilAborted({ signal }: JobContext<unknown>): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

function never(): never {
  throw new Error('must not be called')
}

test('a job runs, reports and ends with its result', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path, { now: () => 1_700_000_000_000 })
  const { jobs } = bench
  jobs.register({
    ...handler(async ({ params, progress }) => {
      progress({ done: 3, total: 4, unit: 'items', note: 'counting', counters: { files: 3 } })
      return { doubled: (params as { n: number }).n * 2 }
    }),
    title: (params) => `double ${(params as { n: number }).n}`,
  })
  await jobs.start()
  const submitted = await jobs.submit('work', { n: 21 })
  expect(submitted).toMatchObject({ kind: 'work', title: 'double 21', params: { n: 21 }, endedAtMs: null })
  const ended = await jobs.wait(submitted.id, patience())
  expect(ended).toEqual({
    ...submitted,
    state: 'done',
    progress: { done: 3, total: 4, unit: 'items', note: 'counting', counters: { files: 3 } },
    result: { doubled: 42 },
    endedAtMs: 1_700_000_000_000,
  })
  expect(jobs.get(submitted.id)).toEqual(ended)
  expect(jobs.list()).toEqual([ended])
  expect(jobs.counts()).toMatchObject({ done: 1, running: 0 })
})

test('ids sort by time, and a list shows the newest first', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  bench.jobs.register(handler(async () => null))
  bench.jobs.register(handler(untilAborted, { kind: 'other' }))
  await bench.jobs.start()
  const ids: string[] = []
  for (let n = 0; n < 50; n++) ids.push((await bench.jobs.submit('work', { n })).id)
  const other = await bench.jobs.submit('other', null)
  expect([...ids].sort()).toEqual(ids)
  for (const id of ids) await bench.jobs.wait(id, patience())
  expect(bench.jobs.list({ kind: 'work', limit: 50 }).map(({ id }) => id)).toEqual(ids.toReversed())
  expect(bench.jobs.list({ limit: 2 }).map(({ id }) => id)).toEqual([other.id, ids[49]])
  expect(bench.jobs.list({ state: 'running' }).map(({ id }) => id)).toEqual([other.id])
  expect(bench.jobs.list({ state: 'done', kind: 'other' })).toEqual([])
})

test('no more than a kind allows run at once, in the order in which they came', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  let running = 0
  let most = 0
  const order: unknown[] = []
  bench.jobs.register(
    handler(
      async ({ params }) => {
        order.push(params)
        most = Math.max(most, ++running)
        await new Promise((resolve) => setImmediate(resolve))
        running--
      },
      { concurrency: 3 },
    ),
  )
  await bench.jobs.start()
  const jobs = await Promise.all(Array.from({ length: 20 }, (_, n) => bench.jobs.submit('work', n)))
  await Promise.all(jobs.map(({ id }) => bench.jobs.wait(id, patience())))
  expect(most).toBe(3)
  expect(order).toEqual(Array.from({ length: 20 }, (_, n) => n))
})

test('an error raised on purpose keeps its code, any other keeps nothing but the log', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs, log } = bench
  jobs.register(
    handler(async ({ params }) => {
      if (params === 'known')
        throw new P2pnodeError('ERR_QUOTA', 'no-space', 'the quota is full', { details: { missing: 7 } })
      throw new Error('the secret is 1234')
    }),
  )
  await jobs.start()
  const known = await jobs.wait((await jobs.submit('work', 'known')).id, patience())
  expect(known).toMatchObject({
    state: 'failed',
    error: { code: 'ERR_QUOTA', kind: 'no-space', message: 'the quota is full', details: { missing: 7 } },
  })
  const unknown = await jobs.wait((await jobs.submit('work', 'unknown')).id, patience())
  expect(unknown.error).toMatchObject({ code: 'ERR_INTERNAL', kind: 'failed' })
  expect(JSON.stringify(unknown)).not.toContain('1234')
  expect(log.lines).toEqual([
    [expect.objectContaining({ err: new Error('the secret is 1234') }), expect.anything()],
  ])
})

test('what is too large or not JSON is refused', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  const large = 'x'.repeat(64 * 1024)
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  let checkpointError: unknown
  jobs.register(
    handler(async ({ params, saveCheckpoint }) => {
      if (params === 'checkpoint') {
        await saveCheckpoint('x'.repeat(1024 * 1024)).catch((error: unknown) => {
          checkpointError = error
        })
        return null
      }
      return params === 'circular' ? circular : large
    }),
  )
  await jobs.start()
  await expect(jobs.submit('work', large)).rejects.toMatchObject({ code: 'ERR_JOB_DATA', kind: 'too-large' })
  await expect(jobs.submit('work', circular)).rejects.toMatchObject({ code: 'ERR_JOB_DATA' })
  await expect(jobs.submit('unknown', null)).rejects.toMatchObject({ code: 'ERR_JOB_KIND_UNKNOWN' })
  for (const params of ['large', 'circular']) {
    const job = await jobs.wait((await jobs.submit('work', params)).id, patience())
    expect(job).toMatchObject({ state: 'failed', error: { code: 'ERR_JOB_DATA' } })
  }
  const job = await jobs.wait((await jobs.submit('work', 'checkpoint')).id, patience())
  expect(job.state).toBe('done')
  expect(checkpointError).toMatchObject({ code: 'ERR_JOB_DATA' })
  expect(jobs.list().length).toBe(3)
})

test('a cancelled job ends, and what it held is freed', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  const discarded: unknown[] = []
  // Slow: whoever is told of the end must find everything freed.
  const discard = async (id: string, params: unknown): Promise<void> => {
    await delay(20)
    discarded.push([id, params])
  }
  jobs.register(handler(untilAborted, { discard }))
  await jobs.start()
  const running = await jobs.submit('work', 'running')
  const queued = await jobs.submit('work', 'queued')
  expect([running.state, queued.state]).toEqual(['running', 'queued'])
  const waiting = jobs.wait(running.id, patience())
  expect(await jobs.cancel(queued.id)).toMatchObject({ state: 'cancelled', error: { code: 'ERR_CANCELLED' } })
  expect(await jobs.cancel(running.id)).toMatchObject({ state: 'cancelled' })
  expect(await waiting).toMatchObject({ state: 'cancelled' })
  expect(await jobs.cancel(running.id)).toMatchObject({ state: 'cancelled' })
  expect(discarded).toEqual([
    [queued.id, 'queued'],
    [running.id, 'running'],
  ])
  await expect(jobs.cancel('none')).rejects.toMatchObject({ code: 'ERR_JOB_NOT_FOUND' })
  await expect(jobs.wait('none', patience())).rejects.toMatchObject({ code: 'ERR_JOB_NOT_FOUND' })
})

test('a wait ends with its own signal and leaves the job alone', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  bench.jobs.register(handler(untilAborted))
  await bench.jobs.start()
  const { id } = await bench.jobs.submit('work', null)
  const impatience = new AbortController()
  const waiting = bench.jobs.wait(id, impatience.signal)
  impatience.abort(new Error('no more time'))
  await expect(waiting).rejects.toThrow('no more time')
  expect(bench.jobs.get(id)?.state).toBe('running')
})

test('a job says why it waits', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  const goOn = Promise.withResolvers<void>()
  jobs.register(
    handler(async ({ waiting }) => {
      waiting('no peers')
      await goOn.promise
      waiting(null)
    }),
  )
  await jobs.start()
  const seen: (string | null)[][] = []
  const end = jobs.onChange(({ state, reason }) => seen.push([state, reason]))
  const { id } = await jobs.submit('work', null)
  expect(jobs.get(id)).toMatchObject({ state: 'waiting', reason: 'no peers' })
  expect(jobs.counts().waiting).toBe(1)
  goOn.resolve()
  await jobs.wait(id, patience())
  expect(seen).toEqual([
    ['queued', null],
    ['running', null],
    ['waiting', 'no peers'],
    ['running', null],
    ['done', null],
  ])
  end()
  await jobs.wait((await jobs.submit('work', null)).id, patience())
  expect(seen.length).toBe(5)
})

test('a listener that fails stops neither the job nor the others', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  bench.jobs.register(handler(async () => 1))
  await bench.jobs.start()
  bench.jobs.onChange(never)
  const seen: JobRecord[] = []
  bench.jobs.onChange((job) => seen.push(job))
  const { id } = await bench.jobs.submit('work', null)
  expect(await bench.jobs.wait(id, patience())).toMatchObject({ state: 'done' })
  expect(seen.at(-1)).toMatchObject({ state: 'done' })
})

test('progress goes out a few times a second, however often it is reported', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs, state } = bench
  jobs.register(
    handler(async (context) => {
      for (let done = 0; done < 10_000; done++) context.progress({ done, unit: 'blocks' })
      return untilAborted(context)
    }),
  )
  await jobs.start()
  let announced = 0
  jobs.onChange(({ progress }) => {
    if (progress !== null) announced++
  })
  const { id } = await jobs.submit('work', null)
  expect(jobs.get(id)?.progress).toMatchObject({ done: 9_999 })
  await until(jobs, id, ({ progress }) => progress?.done === 9_999)
  await expect.poll(() => announced).toBe(1)
  const stored = () => state.db.prepare('SELECT progress FROM job WHERE id = ?').pluck().get(id)
  await expect.poll(stored, { timeout: 3_000 }).toBe('{"done":9999,"unit":"blocks"}')
})

test('after a restart jobs go on from their checkpoint; those that cannot end as interrupted', async () => {
  await using folder = await temporaryFolder()
  const discarded: string[] = []
  const discard = async (id: string) => void discarded.push(id)
  const ids: Record<string, string> = {}
  {
    await using bench = await openJobs(folder.path)
    const { jobs } = bench
    const saved = Promise.withResolvers<void>()
    jobs.register(
      handler(async (context) => {
        await context.saveCheckpoint({ at: 7 })
        saved.resolve()
        return untilAborted(context)
      }),
    )
    jobs.register(handler(untilAborted, { kind: 'once', resumable: false, discard }))
    await jobs.start()
    ids['first'] = (await jobs.submit('work', 'first')).id
    ids['second'] = (await jobs.submit('work', 'second')).id
    ids['once'] = (await jobs.submit('once', null)).id
    ids['line'] = (await jobs.submit('once', 'in line')).id
    await saved.promise
    await bench.close()
    await expect(jobs.submit('work', null)).rejects.toMatchObject({ code: 'ERR_JOBS_STOPPED' })
  }
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  jobs.register(handler(async ({ params, checkpoint }) => ({ params, checkpoint: checkpoint ?? null })))
  jobs.register(handler(async () => 'ran', { kind: 'once', resumable: false, discard }))
  await jobs.start()
  await jobs.start()
  const ended = async (name: string) => jobs.wait(ids[name] ?? '', patience())
  expect(await ended('first')).toMatchObject({
    state: 'done',
    result: { params: 'first', checkpoint: { at: 7 } },
  })
  expect(await ended('second')).toMatchObject({
    state: 'done',
    result: { params: 'second', checkpoint: null },
  })
  expect(await ended('once')).toMatchObject({ state: 'failed', error: { code: 'ERR_JOB_INTERRUPTED' } })
  expect(await ended('line')).toMatchObject({ state: 'done', result: 'ran' })
  expect(discarded).toEqual([ids['once']])
  expect(bench.state.db.prepare('SELECT count(*) FROM job_checkpoint').pluck().get()).toBe(0)
})

test('a kind that this release does not know fails, and harms no other', async () => {
  await using folder = await temporaryFolder()
  {
    await using bench = await openJobs(folder.path)
    bench.jobs.register(handler(untilAborted, { kind: 'gone' }))
    await bench.jobs.submit('gone', null)
  }
  await using bench = await openJobs(folder.path)
  await bench.jobs.start()
  expect(bench.jobs.list()).toMatchObject([{ state: 'failed', error: { code: 'ERR_JOB_KIND_UNKNOWN' } }])
})

test('what could not be freed is freed at the next start', async () => {
  await using folder = await temporaryFolder()
  {
    await using bench = await openJobs(folder.path)
    bench.jobs.register(
      handler(() => Promise.reject(new P2pnodeError('ERR_X', 'failed', 'x')), { discard: never }),
    )
    await bench.jobs.start()
    await bench.jobs.wait((await bench.jobs.submit('work', 5)).id, patience())
  }
  await using bench = await openJobs(folder.path)
  const discarded = Promise.withResolvers<unknown>()
  bench.jobs.register(handler(never, { discard: async (_, params) => discarded.resolve(params) }))
  await bench.jobs.start()
  expect(await discarded.promise).toBe(5)
  await expect
    .poll(() => bench.state.db.prepare('SELECT count(*) FROM job WHERE cleanup = 1').pluck().get())
    .toBe(0)
})

test('stop ends waits and leaves the job to the next start', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  bench.jobs.register(handler(untilAborted))
  await bench.jobs.start()
  const { id } = await bench.jobs.submit('work', null)
  const waiting = bench.jobs.wait(id, patience())
  await Promise.all([
    bench.jobs.stop(),
    bench.jobs.stop(),
    expect(waiting).rejects.toMatchObject({ code: 'ERR_JOBS_STOPPED' }),
  ])
  expect(bench.state.db.prepare('SELECT state FROM job').pluck().get()).toBe('queued')
})

test('a full disk refuses new jobs, and a job that ends meanwhile ends as soon as there is room', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs, state, log } = bench
  const goOn = Promise.withResolvers<string>()
  jobs.register(handler(() => goOn.promise))
  await jobs.start()
  const { id } = await jobs.submit('work', null)
  // SQLite's own bound on the file fails as a full disk does.
  const pages = state.db.pragma('page_count', { simple: true }) as number
  state.db.pragma(`max_page_count = ${pages}`)
  await expect(jobs.submit('work', 'x'.repeat(60_000))).rejects.toMatchObject({
    code: 'ERR_DISK_FULL',
    kind: 'no-space',
  })
  expect(jobs.list().length).toBe(1)
  goOn.resolve('x'.repeat(60_000))
  await expect.poll(() => log.lines.length).toBeGreaterThan(0)
  expect(jobs.get(id)?.state).toBe('running')
  state.db.pragma('max_page_count = 1000000')
  expect(await jobs.wait(id, patience())).toMatchObject({ state: 'done' })
})

test('old records go by age and by number', async () => {
  await using folder = await temporaryFolder()
  const nowMs = 1_000_000
  await using bench = await openJobs(folder.path, { now: () => nowMs, retentionMs: 5_000 })
  bench.jobs.register(handler(async () => null))
  const insert = bench.state.db.prepare(
    `INSERT INTO job (id, kind, state, title, params, created_ms, updated_ms, ended_ms) VALUES (?, 'work', 'done', '', 'null', 1, 1, ?)`,
  )
  bench.state.writeRelaxed(() => {
    for (let n = 0; n < 300; n++) insert.run(`old${n}`, nowMs - 5_001 - n)
    for (let n = 0; n < 10_300; n++) insert.run(`new${n}`, nowMs - 10)
  })
  await bench.jobs.start()
  const count = () => bench.state.db.prepare('SELECT count(*) FROM job').pluck().get()
  await expect.poll(count).toBe(10_000)
  expect(bench.jobs.get('old0')).toBeUndefined()
})

test('more jobs than the bound are refused, and taken again when some have ended', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  bench.jobs.register(handler(untilAborted))
  await bench.jobs.start()
  const submitted = await Promise.all(Array.from({ length: 1_000 }, (_, n) => bench.jobs.submit('work', n)))
  await expect(bench.jobs.submit('work', null)).rejects.toMatchObject({ code: 'ERR_JOBS_FULL', kind: 'busy' })
  await bench.jobs.cancel(submitted[500]?.id ?? '')
  await bench.jobs.submit('work', null)
})
