import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createJobs, type JobRecord, type Jobs, type JobsOptions } from '../../src/jobs/index.ts'
import { openState, type StateDatabase } from '../../src/storage/state/index.ts'
import type { Logger } from '../../src/telemetry/types.ts'

/** A logger that keeps what was said at `warn` and above. */
export function memoryLogger(): Logger & { lines: unknown[][] } {
  const lines: unknown[][] = []
  const keep = (...line: unknown[]) => {
    lines.push(line)
  }
  const drop = () => {}
  const log = { lines, trace: drop, debug: drop, info: drop, warn: keep, error: keep, child: () => log }
  return log
}

/** A folder that is removed at the end of the scope (`await using`). */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'p2pnode-state-'))
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true })
    },
  }
}

export interface JobBench extends AsyncDisposable {
  jobs: Jobs
  state: StateDatabase
  log: ReturnType<typeof memoryLogger>
  /** Stops as a daemon does. */
  close(): Promise<void>
}

/** Jobs over the state.db of a folder; the caller registers handlers and starts them. */
export async function openJobs(folder: string, options: Partial<JobsOptions> = {}): Promise<JobBench> {
  const log = memoryLogger()
  const state = await openState({ path: join(folder, 'state.db'), log })
  const jobs = createJobs({ state, log, sourceTimeoutMs: 60_000, retentionMs: 60_000, ...options })
  const close = async () => {
    await jobs.stop()
    await state.close()
  }
  return { jobs, state, log, close, [Symbol.asyncDispose]: close }
}

/** Resolves with the record once a job is as wanted. */
export async function until(jobs: Jobs, id: string, wanted: (job: JobRecord) => boolean): Promise<JobRecord> {
  const signal = AbortSignal.timeout(10_000)
  const now = jobs.get(id)
  if (now !== undefined && wanted(now)) return now
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      end()
      reject(new Error(`the job is still ${JSON.stringify(jobs.get(id))}`))
    }
    const end = jobs.onChange((job) => {
      if (job.id !== id || !wanted(job)) return
      end()
      signal.removeEventListener('abort', giveUp)
      resolve(job)
    })
    signal.addEventListener('abort', giveUp)
  })
}

export function patience(): AbortSignal {
  return AbortSignal.timeout(10_000)
}
