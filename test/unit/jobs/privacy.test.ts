import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { AtRest } from '../../../src/vault/owner/at-rest.ts'
import { jobPrivacy } from '../../../src/vault/owner/job-privacy.ts'
import type { JobBench } from '../../support/jobs.ts'
import { openJobs, patience, temporaryFolder, until } from '../../support/jobs.ts'

const SECRET = 'the-secret'
const privacyOf = (secret: Uint8Array) => jobPrivacy(new AtRest(secret))

/** Every text of every row, as it lies on disk. */
function texts({ state }: JobBench): string {
  const jobs = state.db.prepare('SELECT title, params, progress, reason, result, error FROM job').raw().all()
  const checkpoints = state.db.prepare('SELECT value FROM job_checkpoint').raw().all()
  return JSON.stringify([jobs, checkpoints])
}

test('the texts of private kinds are sealed on disk, and read as ever', async () => {
  await using folder = await temporaryFolder()
  const privacy = privacyOf(randomBytes(32))
  const go = Promise.withResolvers<void>()
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  jobs.register<string, string>({
    kind: 'private',
    privacy,
    concurrency: 1,
    resumable: true,
    title: (params) => `take ${params}`,
    async run(context) {
      await context.saveCheckpoint({ at: SECRET })
      context.progress({ done: 1, unit: 'items', note: SECRET })
      context.waiting(SECRET)
      await go.promise
      return SECRET
    },
  })
  await jobs.start()
  const { id } = await jobs.submit('private', SECRET)
  await until(jobs, id, ({ reason }) => reason === SECRET)
  expect(bench.state.db.prepare('SELECT reason FROM job').pluck().get()).toMatch(/^sealed-1:/)
  expect(bench.state.db.prepare('SELECT value FROM job_checkpoint').pluck().get()).toMatch(/^sealed-1:/)
  expect(texts(bench)).not.toContain(SECRET)
  go.resolve()
  const expected = {
    state: 'done',
    title: `take ${SECRET}`,
    params: SECRET,
    result: SECRET,
    progress: { note: SECRET },
    error: null,
  }
  expect(await jobs.wait(id, patience())).toMatchObject(expected)
  expect(jobs.list()).toMatchObject([expected])
  expect(texts(bench)).not.toContain(SECRET)
})

test('a job goes on from a sealed checkpoint, and from a row that was written plain', async () => {
  await using folder = await temporaryFolder()
  const privacy = privacyOf(randomBytes(32))
  const handler = (run: () => Promise<unknown>) => ({
    kind: 'private',
    concurrency: 2,
    resumable: true,
    title: () => SECRET,
    run,
  })
  for (const isPrivate of [false, true]) {
    await using bench = await openJobs(folder.path)
    const saved = Promise.withResolvers<void>()
    bench.jobs.register({
      ...handler(never),
      ...(isPrivate && { privacy }),
      async run({ signal, params, checkpoint, saveCheckpoint }) {
        if (checkpoint === undefined) {
          await saveCheckpoint({ of: params })
          saved.resolve()
        }
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error))
        })
      },
    })
    await bench.jobs.start()
    await bench.jobs.submit('private', isPrivate ? 'sealed' : 'plain')
    await saved.promise
  }
  await using bench = await openJobs(folder.path)
  bench.jobs.register({
    ...handler(never),
    privacy,
    run: async ({ params, checkpoint }) => ({ params, checkpoint }),
  })
  await bench.jobs.start()
  const ended = await Promise.all(bench.jobs.list().map(({ id }) => bench.jobs.wait(id, patience())))
  expect(ended.map(({ result }) => result)).toEqual([
    { params: 'sealed', checkpoint: { of: 'sealed' } },
    { params: 'plain', checkpoint: { of: 'plain' } },
  ])
})

test('rows under a key that is gone say so: what had not ended fails, and harms no other', async () => {
  await using folder = await temporaryFolder()
  const discarded = Promise.withResolvers<unknown>()
  const handler = {
    kind: 'private',
    concurrency: 1,
    resumable: true,
    title: () => SECRET,
    discard: async (id: string, params: unknown) => discarded.resolve([id, params]),
  }
  const ids: string[] = []
  {
    await using bench = await openJobs(folder.path)
    const { jobs } = bench
    jobs.register({ ...handler, privacy: privacyOf(randomBytes(32)), run: async () => SECRET })
    await jobs.start()
    ids.push((await jobs.submit('private', SECRET)).id)
    await jobs.wait(ids[0] ?? '', patience())
  }
  // Not started: it stays in line, under that other key.
  {
    await using bench = await openJobs(folder.path)
    bench.jobs.register({ ...handler, privacy: privacyOf(randomBytes(32)), run: never })
    ids.push((await bench.jobs.submit('private', SECRET)).id)
  }
  await using bench = await openJobs(folder.path)
  const { jobs } = bench
  jobs.register({ ...handler, privacy: privacyOf(randomBytes(32)), run: async () => 'ran' })
  await jobs.start()
  const error = { code: 'ERR_JOB_SEALED', kind: 'failed' }
  const lost = { title: 'private', params: null, result: null, error }
  expect(jobs.get(ids[0] ?? '')).toMatchObject({ ...lost, state: 'done' })
  expect(jobs.get(ids[1] ?? '')).toMatchObject({ ...lost, state: 'failed' })
  expect(await discarded.promise).toEqual([ids[1], null])
  const { id } = await jobs.submit('private', SECRET)
  expect(await jobs.wait(id, patience())).toMatchObject({ state: 'done', result: 'ran' })
  expect(jobs.list()).toHaveLength(3)
})

function never(): Promise<never> {
  return new Promise(() => {})
}
