import { createHash } from 'node:crypto'
import type { Client, Schema } from '../client/index.ts'
import type { CliContext } from './context.ts'
import { endpointOf } from './daemon.ts'
import { printable } from './format.ts'
import { cancelQuietly } from './job.ts'

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

/** Sends the bytes of a source for a job, across interruptions, and returns the job that takes them. */
export async function send(
  context: CliContext,
  client: Client,
  sending: Sending,
): Promise<Schema<'JobRecord'>> {
  const { kind, params, sizeBytes } = sending
  let jobId: string | undefined
  try {
    const { job } = await client.upload({
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
    return job
  } catch (error) {
    // Ctrl-C, and a source that cannot be read: nobody will come back with these bytes.
    if (jobId !== undefined && (context.signal.aborted || isSourceError(error)))
      await cancelQuietly(client, jobId)
    throw error
  }
}

function isSourceError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_SOURCE_')
}
