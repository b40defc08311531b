import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openJobs, temporaryFolder } from '../../support/jobs.ts'
import { startChild } from '../../support/state-processes.ts'

const ROUNDS = 5
const STEPS = 30

test('kill -9 at any moment: every acknowledged job goes on, from its checkpoint, to its end', async () => {
  await using folder = await temporaryFolder()
  const submitted = new Set<string>()
  const done = new Set<string>()
  for (let round = 0; round < ROUNDS; round++) {
    await using child = startChild('jobs', folder.path)
    await child.line(/^started/)
    await child.line(/^submitted/)
    await sleep(Math.random() * 150)
    await child.kill()
    for (const line of child.lines) {
      const [what, id] = line.split(' ')
      if (what === 'submitted') submitted.add(id ?? '')
      if (what === 'done') done.add(id ?? '')
    }
  }
  expect(submitted.size).toBeGreaterThanOrEqual(ROUNDS)

  await using bench = await openJobs(folder.path)
  const { jobs, state } = bench
  expect(state.db.pragma('integrity_check', { simple: true })).toBe('ok')
  // What was announced as done stays done.
  for (const id of done) expect(jobs.get(id)).toMatchObject({ state: 'done', result: STEPS })
  jobs.register<unknown, number>({
    kind: 'count',
    concurrency: 4,
    resumable: true,
    title: () => '',
    run: async ({ checkpoint }) => (checkpoint as number | undefined) ?? 0,
  })
  await jobs.start()
  for (const id of submitted) {
    const job = await jobs.wait(id, AbortSignal.timeout(10_000))
    expect(job.state).toBe('done')
    // One more than the checkpoint may have happened, never one less; and nothing before a checkpoint happened twice.
    const name = `effects-${id}`
    const effects = (await readdir(folder.path)).includes(name)
      ? (await readFile(join(folder.path, name), 'utf8')).trim().split('\n').map(Number)
      : []
    expect(new Set(effects).size).toBeGreaterThanOrEqual(job.result as number)
    expect(new Set(effects).size).toBeLessThanOrEqual((job.result as number) + 1)
    expect(effects.length - new Set(effects).size).toBeLessThanOrEqual(ROUNDS)
    expect(effects).toEqual([...effects].sort((a, b) => a - b))
  }
})
