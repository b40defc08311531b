/**
 * A process to be killed. `lock HOME` holds the home's lock; `jobs HOME` runs the jobs that it finds and then new ones,
 * and prints the id of each as soon as it is acknowledged.
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { acquireHomeLock } from '../../src/storage/state/index.ts'
import { openJobs } from './jobs.ts'

const [mode, home] = process.argv.slice(2)
if (home === undefined) throw new Error('usage: state-child.ts MODE HOME')

if (mode === 'lock') {
  const lock = acquireHomeLock(home)
  console.log('locked')
  setInterval(() => lock.home, 1_000)
} else {
  acquireHomeLock(home)
  const { jobs } = await openJobs(home)
  jobs.register<{ steps: number }, number>({
    kind: 'count',
    concurrency: 4,
    resumable: true,
    title: ({ steps }) => `count to ${steps}`,
    async run({ id, params, checkpoint, saveCheckpoint, signal }) {
      let at = (checkpoint as number | undefined) ?? 0
      while (at < params.steps) {
        signal.throwIfAborted()
        at += 1
        // The effect comes before its checkpoint, as with blocks: after a crash one may be repeated, none is left out.
        appendFileSync(join(home, `effects-${id}`), `${at}\n`)
        await saveCheckpoint(at)
      }
      return at
    },
  })
  await jobs.start()
  jobs.onChange(({ id, state }) => {
    if (state === 'done') console.log(`done ${id}`)
  })
  console.log('started')
  for (;;) {
    const { id } = await jobs.submit('count', { steps: 30 })
    console.log(`submitted ${id}`)
    await jobs.wait(id, AbortSignal.timeout(60_000))
  }
}
