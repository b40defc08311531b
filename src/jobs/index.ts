/**
 * Durable jobs and upload sessions.
 *
 * @example
 * const jobs = createJobs({ state, log, sourceTimeoutMs, retentionMs })
 * jobs.register({ kind: 'gc', concurrency: 1, resumable: true, title: () => 'gc', run: ({ signal }) => collect(signal) })
 * await jobs.start()
 * const job = await jobs.submit('gc', {})
 * const ended = await jobs.wait(job.id, signal)
 */
export { createJobs, type JobsOptions } from './jobs.ts'
export type * from './types.ts'
