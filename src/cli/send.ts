import { createHash } from 'node:crypto'
import type { Client, Schema } from '../client/index.ts'
import type { CliContext } from './context.ts'
import { endpointOf } from './daemon.ts'
import { printable } from './format.ts'
import { cancelQuietly, showJob } from './job.ts'
import { patiently } from './patience.ts'

export interface Sending {
  kind: 'add' | 'car-import' | 'put'
  params: Schema<'OpenUpload'>['params']
  /** What is sent, and in which state it is; see `SourceTree`. */
  fingerprint: string
  sizeBytes: number
  /** `adding name`. */
  label: string
  bytesFrom: (offset: number) => AsyncIterable<Uint8Array>
}

/** Sends the bytes of a source for a job, across interruptions, and returns the session and the job that takes them. */
export async function send(
  context: CliContext,
  client: Client,
  sending: Sending,
  before?: Schema<'UploadOpened'>,
): Promise<Schema<'UploadOpened'>> {
  const { kind, params, sizeBytes } = sending
  let jobId = before?.job.id
  try {
    return await client.upload({
      opened: before,
      open: {
        kind,
        params,
        // The same source with other options is another job.
        fingerprint: createHash('sha256')
          .update(JSON.stringify([sending.fingerprint, params]))
          .digest('hex'),
        size: sizeBytes,
      } as Schema<'OpenUpload'>,
      source: sending.bytesFrom,
      signal: context.signal,
      onOpened: (session) => {
        jobId = session.job.id
      },
      onProgress: (done) =>
        context.output.progress({
          label: printable(sending.label),
          done,
          total: sizeBytes,
          unit: 'bytes',
        }),
      relocate: () => endpointOf(context),
    })
  } catch (error) {
    // Ctrl-C, and a source that cannot be read: nobody will come back with these bytes.
    if (jobId !== undefined && (context.signal.aborted || isSourceError(error)))
      await cancelQuietly(client, jobId)
    throw error
  }
}

/**
 * Sends, and waits for what the job makes of it. A daemon that crashed after it had taken everything, but before all was
 * committed, needs the rest once more: then it is sent again.
 *
 * @throws the job's own error where it failed or was cancelled
 */
export async function sendForResult<T>(context: CliContext, client: Client, sending: Sending): Promise<T> {
  let opened: Schema<'UploadOpened'> | undefined
  for (;;) {
    opened = await send(context, client, sending, opened)
    const { job } = opened
    const needsSource = new AbortController()
    const signal = AbortSignal.any([context.signal, needsSource.signal])
    const onChange = (now: Schema<'JobRecord'>): void => {
      if (now.state === 'needs-source') needsSource.abort()
      else showJob(context, now)
    }
    try {
      const waiting = () => client.resultOfJob(job.id, { signal, onChange })
      return (await patiently(context, client, waiting, { signal })) as T
    } catch (error) {
      if (context.signal.aborted) await cancelQuietly(client, job.id)
      if (context.signal.aborted || !needsSource.signal.aborted) throw error
    }
  }
}

function isSourceError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_SOURCE_')
}
