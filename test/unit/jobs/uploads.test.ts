import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import type { JobContext, JobHandler, JobRecord, Jobs } from '../../../src/jobs/index.ts'
import { openJobs, patience, temporaryFolder, until } from '../../support/jobs.ts'

const text = (value: string) => new TextEncoder().encode(value)

async function* parts(...values: string[]): AsyncGenerator<Uint8Array> {
  for (const value of values) yield text(value)
}

function handler(run: (context: JobContext<unknown>) => Promise<unknown>, concurrency = 2): JobHandler {
  return { kind: 'add', concurrency, resumable: true, title: () => 'add', run }
}

/** Takes everything into its checkpoint, committed after every piece. */
async function collect({ source, checkpoint }: JobContext<unknown>): Promise<string> {
  if (source === null) throw new Error('an upload was expected')
  let taken = (checkpoint as string | undefined) ?? ''
  expect(source.offset).toBe(taken.length)
  for await (const bytes of source) {
    taken += new TextDecoder().decode(bytes)
    await source.commit(taken.length, taken)
  }
  return taken
}

async function begin(
  jobs: Jobs,
  size: number | null = null,
  fingerprint = 'f',
): Promise<{ job: JobRecord; id: string }> {
  const job = await jobs.submit('add', null, { upload: { fingerprint, size } })
  return { job, id: jobs.uploadOfJob(job.id)?.id ?? '' }
}

test('bytes of several parts reach the job in order, and the job ends with the upload', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  jobs.register(handler(collect))
  await jobs.start()
  const { job, id } = await begin(jobs, 10)
  expect(job.state).toBe('needs-source')
  expect(jobs.upload(id)).toEqual({
    id,
    jobId: job.id,
    state: 'needs-source',
    offset: 0,
    committedOffset: 0,
    size: 10,
  })
  expect(await jobs.append(id, 0, parts('01', '234'), patience())).toMatchObject({
    offset: 5,
    state: 'running',
  })
  expect(await jobs.append(id, 5, parts('56789'), patience())).toMatchObject({ offset: 10 })
  await jobs.complete(id, 10)
  expect(await jobs.wait(job.id, patience())).toMatchObject({ state: 'done', result: '0123456789' })
  expect(jobs.upload(id)).toMatchObject({ state: 'done', offset: 10, committedOffset: 10 })
  expect(await jobs.complete(id, 10)).toMatchObject({ state: 'done' })
  await expect(jobs.append(id, 10, parts('x'), patience())).rejects.toMatchObject({
    code: 'ERR_UPLOAD_CLOSED',
  })
})

test('an upload of nothing is an upload', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  bench.jobs.register(handler(collect))
  await bench.jobs.start()
  const { job, id } = await begin(bench.jobs, 0)
  await bench.jobs.complete(id, 0)
  expect(await bench.jobs.wait(job.id, patience())).toMatchObject({ state: 'done', result: '' })
})

test('wrong offsets, wrong sizes and two parts at once are refused, and the upload goes on', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  jobs.register(handler(collect))
  await jobs.start()
  const { job, id } = await begin(jobs, 4)
  await expect(jobs.append(id, 1, parts('x'), patience())).rejects.toMatchObject({
    code: 'ERR_UPLOAD_OFFSET',
    kind: 'conflict',
    details: { offset: 0 },
  })
  const hold = Promise.withResolvers<void>()
  const first = jobs.append(
    id,
    0,
    (async function* () {
      yield text('01')
      await hold.promise
    })(),
    patience(),
  )
  await expect(jobs.append(id, 0, parts('x'), patience())).rejects.toMatchObject({ code: 'ERR_UPLOAD_BUSY' })
  await expect(jobs.complete(id, 4)).rejects.toMatchObject({ code: 'ERR_UPLOAD_BUSY' })
  hold.resolve()
  await first
  await expect(jobs.append(id, 0, parts('x'), patience())).rejects.toMatchObject({ details: { offset: 2 } })
  await expect(jobs.append(id, 2, parts('234'), patience())).rejects.toMatchObject({
    code: 'ERR_UPLOAD_SIZE',
  })
  await expect(jobs.complete(id, 3)).rejects.toMatchObject({ code: 'ERR_UPLOAD_SIZE' })
  await expect(jobs.complete(id, 4)).rejects.toMatchObject({
    code: 'ERR_UPLOAD_OFFSET',
    details: { offset: 2 },
  })
  await expect(jobs.complete(id, -1)).rejects.toMatchObject({ code: 'ERR_UPLOAD_INVALID' })
  await expect(jobs.append('none', 0, parts('x'), patience())).rejects.toMatchObject({
    code: 'ERR_UPLOAD_NOT_FOUND',
  })
  await jobs.append(id, 2, parts('23'), patience())
  await jobs.complete(id, 4)
  expect(await jobs.wait(job.id, patience())).toMatchObject({ result: '0123' })
})

test('the client is held back while the job is slow', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>())
  jobs.register(
    handler(async ({ source }) => {
      let n = 0
      for await (const _ of source ?? []) await gates[n++]?.promise
    }),
  )
  await jobs.start()
  const { job, id } = await begin(jobs)
  let sent = 0
  const appending = jobs.append(
    id,
    0,
    (async function* () {
      for (; sent < 4; sent++) yield text('x')
    })(),
    patience(),
  )
  for (let n = 0; n < 4; n++) {
    for (let turns = 0; turns < 20; turns++) await turn()
    // One is in the job's hands, the next is held out.
    expect(jobs.upload(id)?.offset).toBe(n + 1)
    expect(sent).toBe(Math.min(n + 1, 4))
    gates[n]?.resolve()
  }
  expect(await appending).toMatchObject({ offset: 4 })
  await jobs.complete(id, 4)
  await jobs.wait(job.id, patience())
})

test('a connection that drops leaves the job waiting where it stands', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  let runs = 0
  jobs.register(
    handler((context) => {
      runs++
      return collect(context)
    }),
  )
  await jobs.start()
  const { job, id } = await begin(jobs)
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield text('012')
    throw new Error('socket hang up')
  }
  await expect(jobs.append(id, 0, broken(), patience())).rejects.toThrow('socket hang up')
  expect(jobs.get(job.id)?.state).toBe('needs-source')
  expect(jobs.upload(id)?.offset).toBe(3)

  // A client that says nothing is dropped by its signal.
  const gone = new AbortController()
  const silent = jobs.append(
    id,
    3,
    { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) },
    gone.signal,
  )
  await until(jobs, job.id, ({ state }) => state === 'running')
  gone.abort(new Error('gone'))
  await expect(silent).rejects.toThrow('gone')
  expect(jobs.get(job.id)?.state).toBe('needs-source')

  await jobs.append(id, 3, parts('345'), patience())
  await jobs.complete(id, 6)
  expect(await jobs.wait(job.id, patience())).toMatchObject({ state: 'done', result: '012345' })
  expect(runs).toBe(1)
})

test('after a restart the client goes on from the last commit', async () => {
  await using folder = await temporaryFolder()
  let id = ''
  let jobId = ''
  {
    await using bench = await openJobs(folder.path)
    bench.jobs.register(
      handler(async ({ source }) => {
        let taken = ''
        for await (const bytes of source ?? []) {
          taken += new TextDecoder().decode(bytes)
          if (taken.length === 3) await source?.commit(2, taken.slice(0, 2))
        }
      }),
    )
    await bench.jobs.start()
    const begun = await begin(bench.jobs, 6)
    id = begun.id
    jobId = begun.job.id
    await bench.jobs.append(id, 0, parts('0', '1', '2', '3', '4'), patience())
    expect(bench.jobs.upload(id)).toMatchObject({ offset: 5, committedOffset: 2 })
  }
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  jobs.register(handler(collect))
  await jobs.start()
  const again = await jobs.submit('add', null, { upload: { fingerprint: 'f', size: 6 } })
  expect(again).toMatchObject({ id: jobId, state: 'needs-source' })
  expect(jobs.uploadOfJob(jobId)).toMatchObject({ id, offset: 2, committedOffset: 2 })
  await jobs.append(id, 2, parts('23', '45'), patience())
  await jobs.complete(id, 6)
  expect(await jobs.wait(jobId, patience())).toMatchObject({ state: 'done', result: '012345' })
})

test('a completed upload whose bytes are all committed needs no client after a restart', async () => {
  await using folder = await temporaryFolder()
  let jobId = ''
  {
    await using bench = await openJobs(folder.path)
    bench.jobs.register(
      handler(async (context) => {
        await collect(context)
        await new Promise((_, reject) => {
          context.signal.addEventListener('abort', () => reject(context.signal.reason as Error))
        })
      }),
    )
    await bench.jobs.start()
    const { job, id } = await begin(bench.jobs)
    jobId = job.id
    await bench.jobs.append(id, 0, parts('all'), patience())
    await bench.jobs.complete(id, 3)
  }
  await using bench = await openJobs(folder.path)
  bench.jobs.register(handler(collect))
  await bench.jobs.start()
  expect(await bench.jobs.wait(jobId, patience())).toMatchObject({ state: 'done', result: 'all' })
})

test('a job that fails or is cancelled ends the part that is being sent, with its own error', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  jobs.register(
    handler(async ({ source }) => {
      for await (const bytes of source ?? []) {
        if (bytes[0] === 0x21) throw new P2pnodeError('ERR_QUOTA', 'no-space', 'the quota is full')
      }
    }),
  )
  await jobs.start()
  async function* endless(): AsyncGenerator<Uint8Array> {
    yield text('x')
    yield text('!')
    await new Promise(() => {})
  }
  const failing = await begin(jobs)
  await expect(jobs.append(failing.id, 0, endless(), patience())).rejects.toMatchObject({
    code: 'ERR_QUOTA',
    kind: 'no-space',
  })
  await expect(jobs.append(failing.id, 2, parts('x'), patience())).rejects.toMatchObject({
    code: 'ERR_QUOTA',
  })
  await expect(jobs.complete(failing.id, 2)).rejects.toMatchObject({ code: 'ERR_QUOTA' })

  const cancelled = await begin(jobs)
  const hold = jobs.append(
    cancelled.id,
    0,
    { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) },
    patience(),
  )
  await Promise.all([
    expect(hold).rejects.toMatchObject({ code: 'ERR_CANCELLED', kind: 'cancelled' }),
    jobs.cancel(cancelled.job.id),
  ])
  expect(jobs.get(cancelled.job.id)?.state).toBe('cancelled')

  // Its fingerprint is free again.
  const next = await begin(jobs)
  expect(next.job.id).not.toBe(cancelled.job.id)
  expect(await jobs.cancel(next.job.id)).toMatchObject({ state: 'cancelled' })
})

test('the same fingerprint takes up the same session, unless the size has changed', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  jobs.register(handler(collect))
  await jobs.start()
  const [one, two] = await Promise.all([begin(jobs), begin(jobs)])
  expect(two).toEqual(one)
  expect((await begin(jobs, 7)).id).toBe(one.id)
  expect(jobs.upload(one.id)?.size).toBe(7)
  await expect(begin(jobs, 8)).rejects.toMatchObject({ code: 'ERR_UPLOAD_SIZE' })
  expect((await begin(jobs, null, 'other')).id).not.toBe(one.id)
  await expect(begin(jobs, null, '')).rejects.toMatchObject({ code: 'ERR_UPLOAD_INVALID' })
})

test('a job without its client gives its place to others and takes the next free one when it returns', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  jobs.register(handler(collect, 1))
  await jobs.start()
  const away = await begin(jobs, null, 'away')
  async function* dropped(): AsyncGenerator<Uint8Array> {
    yield text('a')
    throw new Error('dropped')
  }
  await expect(jobs.append(away.id, 0, dropped(), patience())).rejects.toThrow('dropped')

  const other = await begin(jobs, null, 'other')
  await jobs.append(other.id, 0, parts('b'), patience())
  const returning = jobs.append(away.id, 1, parts('a'), patience())
  await until(jobs, away.job.id, ({ state }) => state === 'queued')
  for (let turns = 0; turns < 20; turns++) await turn()
  expect(jobs.upload(away.id)?.offset).toBe(1)
  await jobs.complete(other.id, 1)
  expect(await returning).toMatchObject({ offset: 2 })
  await jobs.complete(away.id, 2)
  expect(await jobs.wait(away.job.id, patience())).toMatchObject({ result: 'aa' })
})

test('a client that pauses too long between parts is missed', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  jobs.register(handler(collect))
  await jobs.start()
  const { job, id } = await begin(jobs)
  await jobs.append(id, 0, parts('a'), patience())
  expect(jobs.get(job.id)?.state).toBe('running')
  await until(jobs, job.id, ({ state }) => state === 'needs-source')
})

test('of many jobs without clients the longest waiting are put away, and go on from their last commit', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  let aborted = 0
  jobs.register(
    handler(async (context) => {
      context.signal.addEventListener('abort', () => aborted++)
      return collect(context)
    }),
  )
  await jobs.start()
  const sessions = []
  for (let n = 0; n < 11; n++) {
    const session = await begin(jobs, null, `f${n}`)
    sessions.push(session)
    async function* dropped(): AsyncGenerator<Uint8Array> {
      yield text(`${n % 10}`)
      throw new Error('dropped')
    }
    await expect(jobs.append(session.id, 0, dropped(), patience())).rejects.toThrow('dropped')
  }
  await expect.poll(() => aborted).toBe(3)
  expect(jobs.counts()['needs-source']).toBe(11)
  for (const [n, { id, job }] of sessions.entries()) {
    const offset = jobs.upload(id)?.offset ?? -1
    await jobs.append(id, offset, parts(offset === 0 ? `${n % 10}!` : '!'), patience())
    await jobs.complete(id, 2)
    expect(await jobs.wait(job.id, patience())).toMatchObject({ state: 'done', result: `${n % 10}!` })
  }
})

test('a source that never comes ends its job, by the clock and across restarts', async () => {
  await using folder = await temporaryFolder()
  const discarded: string[] = []
  const registered = { ...handler(collect), discard: async (id: string) => void discarded.push(id) }
  let nowMs = 1_000_000
  const now = () => nowMs
  const ids: string[] = []
  {
    await using bench = await openJobs(folder.path, { now, sourceTimeoutMs: 100 })
    bench.jobs.register(registered)
    await bench.jobs.start()
    ids.push((await begin(bench.jobs, null, 'one')).job.id)
    nowMs += 60
    const two = await begin(bench.jobs, null, 'two')
    ids.push(two.job.id)
    nowMs += 40
    expect(await bench.jobs.wait(ids[0] ?? '', patience())).toMatchObject({
      state: 'failed',
      error: { code: 'ERR_SOURCE_TIMEOUT', kind: 'timeout' },
    })
    expect(bench.jobs.get(ids[1] ?? '')?.state).toBe('needs-source')
  }
  nowMs += 61
  await using bench = await openJobs(folder.path, { now, sourceTimeoutMs: 100 })
  bench.jobs.register(registered)
  await bench.jobs.start()
  expect(bench.jobs.get(ids[1] ?? '')).toMatchObject({
    state: 'failed',
    error: { code: 'ERR_SOURCE_TIMEOUT' },
  })
  expect(discarded).toEqual(ids)
})

test('a commit is only of what was taken, and a source is read once', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  const errors: unknown[] = []
  jobs.register(
    handler(async ({ source }) => {
      if (source === null) return
      for await (const _ of source) {
        await source.commit(3, null).catch((error: unknown) => errors.push(error))
        await source.commit(2, null)
        await source.commit(1, null).catch((error: unknown) => errors.push(error))
      }
      for await (const _ of source) throw new Error('read twice')
    }),
  )
  await jobs.start()
  const { job, id } = await begin(jobs)
  await jobs.append(id, 0, parts('ab'), patience())
  await jobs.complete(id, 2)
  expect(await jobs.wait(job.id, patience())).toMatchObject({
    state: 'failed',
    error: { code: 'ERR_UPLOAD_INVALID' },
  })
  expect(errors).toMatchObject([{ code: 'ERR_UPLOAD_INVALID' }, { code: 'ERR_UPLOAD_INVALID' }])
})

test('a job that needs no more than it took is done, and its client is told so', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  jobs.register(
    handler(async ({ source }) => {
      for await (const _ of source ?? []) return 'enough'
      return 'nothing'
    }),
  )
  await jobs.start()
  const { job, id } = await begin(jobs)
  expect(await jobs.append(id, 0, parts('a', 'b', 'c'), patience())).toMatchObject({ state: 'done' })
  expect(await jobs.complete(id, 3)).toMatchObject({ state: 'done' })
  expect(jobs.get(job.id)).toMatchObject({ state: 'done', result: 'enough' })
})

test('stop ends the part that is being sent', async () => {
  await using folder = await temporaryFolder()
  await using bench = await openJobs(folder.path)
  bench.jobs.register(handler(collect))
  await bench.jobs.start()
  const { id } = await begin(bench.jobs)
  const hold = bench.jobs.append(
    id,
    0,
    { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) },
    patience(),
  )
  await Promise.all([expect(hold).rejects.toMatchObject({ code: 'ERR_JOBS_STOPPED' }), bench.jobs.stop()])
})
