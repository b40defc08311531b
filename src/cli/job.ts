import type { Client, Schema } from '../client/index.ts'
import type { CliContext } from './context.ts'

/** Shows how far a job is. */
export function showJob(context: CliContext, job: Schema<'JobRecord'>): void {
  const { progress } = job
  if (progress === null) {
    if (job.reason !== null)
      context.output.progress({ label: job.title, done: 0, unit: 'items', note: job.reason })
    return
  }
  const note = job.reason ?? progress.note
  context.output.progress({
    label: job.title,
    done: progress.done,
    unit: progress.unit,
    ...(progress.total === undefined ? {} : { total: progress.total }),
    ...(note === undefined ? {} : { note }),
  })
}

/** Cancels a job on the way out; what cannot be reached any more cannot be cancelled either. */
export async function cancelQuietly(client: Client, id: string): Promise<void> {
  try {
    await client.post('/api/v1/jobs/{id}/cancel', {
      params: { path: { id } },
      signal: AbortSignal.timeout(2_000),
    })
  } catch {
    // The command ends with its own error, which says more.
  }
}

/**
 * Waits for a job and shows its progress; Ctrl-C cancels it.
 *
 * @throws the job's own error where it failed or was cancelled
 */
export async function waitForResult<T>(
  context: CliContext,
  client: Client,
  job: Schema<'JobRecord'>,
): Promise<T> {
  try {
    return (await client.resultOfJob(job.id, {
      signal: context.signal,
      onChange: (now) => showJob(context, now),
    })) as T
  } catch (error) {
    if (context.signal.aborted) await cancelQuietly(client, job.id)
    throw error
  }
}

/** With `--detach`: the job's id, at once. */
export function printDetached(context: CliContext, job: Schema<'JobRecord'>): void {
  context.output.result({ job: job.id }, () => `${job.id}\nfollow it with: p2pnode jobs wait ${job.id}`)
}
