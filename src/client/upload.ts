import { setTimeout as sleep } from 'node:timers/promises'
import { P2pnodeError } from '../../protocols/shared/errors.ts'
import type { components } from './api.gen.ts'
import type { Client, Schema } from './client.ts'
import { cancelled, failureOfJob } from './errors.ts'
import { NO_DAEMON_CODE } from './exit-codes.ts'
import type { Endpoint } from './locate.ts'

/**
 * Bytes sent in one request. What a broken connection costs is at most this; the request itself costs about a
 * millisecond, so larger parts gain nothing.
 */
const PART_BYTES = 32 * 1024 * 1024

/** How long a daemon may be away (restarting) before an upload gives up. */
const PATIENCE_MS = 60_000

/** Between two attempts to reach it. */
const RETRY_DELAY_MS = 500

export interface UploadOptions {
  /** The job's kind, parameters, fingerprint and size, as `POST /uploads` takes them. */
  open: components['schemas']['OpenUpload']
  /** The bytes from `offset` on; called again after each interruption, with an offset that may lie before what was read. */
  source: (offset: number) => AsyncIterable<Uint8Array>
  signal?: AbortSignal | undefined
  /** Bytes that the daemon took so far. */
  onProgress?: (offset: number) => void
  /** A session that was complete before, of a daemon that crashed since: it is taken up again unless its job is over. */
  opened?: Schema<'UploadOpened'> | undefined
  /** The session was opened or taken up again: the job can be watched. */
  onOpened?: (opened: Schema<'UploadOpened'>) => void
  /** Finds the daemon again after it was away: a restarted one may listen elsewhere. */
  relocate?: () => Endpoint
  partBytes?: number
  patienceMs?: number
}

/**
 * Opens a session (or takes up an unfinished one with the same fingerprint), sends the source from the session's
 * offset on in parts, and completes it. A lost connection or a restarted daemon is waited for and resumed.
 *
 * @returns the session and the job as they were opened; the job goes on and is waited for by its id
 * @throws the job's error where it ended meanwhile; errors of the source; ERR_NO_DAEMON after the patience
 */
export async function uploadSource(client: Client, options: UploadOptions): Promise<Schema<'UploadOpened'>> {
  const patienceMs = options.patienceMs ?? PATIENCE_MS
  let awaySinceMs: number | undefined
  let { opened } = options
  for (;;) {
    try {
      // What broke off may have been the answer to the last part: then the job went on, and may be over.
      if (opened !== undefined && (await isDone(client, opened.job.id, options.signal))) return opened
      opened = await client.post('/api/v1/uploads', { body: options.open, signal: options.signal })
      options.onOpened?.(opened)
      await sendAll(client, opened.upload, options, () => {
        awaySinceMs = undefined
      })
      return opened
    } catch (error) {
      // A daemon that was never there is no interruption. One that went away with the first question unanswered is, and
      // asking again is safe: the fingerprint finds the session if there is one.
      if (!isInterruption(error) || (opened === undefined && awaySinceMs === undefined && isAbsence(error)))
        throw error
      awaySinceMs ??= performance.now()
      if (performance.now() - awaySinceMs > patienceMs) throw error
      await pause(options.signal)
      try {
        if (options.relocate !== undefined) client.transport.endpoint = options.relocate()
      } catch {
        // Not back yet.
      }
    }
  }
}

/** One attempt: until the session is complete, or something interrupts it. */
async function sendAll(
  client: Client,
  upload: Schema<'UploadStatus'>,
  options: UploadOptions,
  onTaken: () => void,
): Promise<void> {
  let { offset } = upload
  options.onProgress?.(offset)
  for (;;) {
    const parts = new Parts(options.source(offset), options.partBytes ?? PART_BYTES)
    try {
      while (await parts.next()) {
        const status = (await client.transport.json({
          method: 'PATCH',
          path: `/api/v1/uploads/${encodeURIComponent(upload.id)}`,
          headers: { 'upload-offset': offset, 'content-type': 'application/octet-stream' },
          body: parts.part(),
          signal: options.signal,
          // The job may take bytes slowly; the daemon watches this connection, not we it.
          idleTimeoutMs: 0,
        })) as Schema<'UploadStatus'>
        offset = status.offset
        onTaken()
        options.onProgress?.(offset)
      }
      await client.post('/api/v1/uploads/{id}/complete', {
        params: { path: { id: upload.id } },
        body: { size: offset },
        signal: options.signal,
      })
      return
    } catch (error) {
      const right = rightOffset(error)
      if (right === undefined) throw await reasonOf(client, upload.jobId, error)
      offset = right
    } finally {
      await parts.close()
    }
  }
}

/** Cuts a source into parts without copying: each part is a stream of at most `partBytes`. */
class Parts {
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #partBytes: number
  #rest: Uint8Array | undefined

  constructor(source: AsyncIterable<Uint8Array>, partBytes: number) {
    this.#iterator = source[Symbol.asyncIterator]()
    this.#partBytes = partBytes
  }

  /** Whether another part follows. */
  async next(): Promise<boolean> {
    while (this.#rest === undefined || this.#rest.byteLength === 0) {
      const step = await this.#iterator.next()
      if (step.done === true) return false
      this.#rest = step.value
    }
    return true
  }

  async *part(): AsyncGenerator<Uint8Array> {
    let left = this.#partBytes
    while (left > 0 && (await this.next())) {
      const chunk = this.#rest as Uint8Array
      this.#rest = chunk.byteLength > left ? chunk.subarray(left) : undefined
      left -= Math.min(left, chunk.byteLength)
      yield this.#rest === undefined ? chunk : chunk.subarray(0, chunk.byteLength - this.#rest.byteLength)
    }
  }

  async close(): Promise<void> {
    await this.#iterator.return?.()
  }
}

/** @throws the job's error where it ended in another way */
async function isDone(client: Client, id: string, signal: AbortSignal | undefined): Promise<boolean> {
  const job = await client.get('/api/v1/jobs/{id}', { params: { path: { id } }, signal })
  if (job.error !== null) throw failureOfJob(job.error)
  if (job.state === 'cancelled') throw cancelled()
  return job.state === 'done'
}

/** The offset that the daemon names when ours was wrong: the connection broke after it took more or less than it told. */
function rightOffset(error: unknown): number | undefined {
  if (!(error instanceof P2pnodeError) || error.code !== 'ERR_UPLOAD_OFFSET') return undefined
  const { offset } = error.details
  return typeof offset === 'number' ? offset : undefined
}

/** Where the job ended meanwhile, its own error says more than the broken upload. */
async function reasonOf(client: Client, jobId: string, error: unknown): Promise<unknown> {
  try {
    const job = await client.get('/api/v1/jobs/{id}', { params: { path: { id: jobId } } })
    if (job.error !== null) return failureOfJob(job.error)
    if (job.state === 'cancelled') return cancelled()
  } catch {
    // The daemon is away: the first error stands.
  }
  return error
}

const INTERRUPTIONS = new Set([
  NO_DAEMON_CODE,
  'ERR_CONNECTION_LOST',
  'ERR_CONNECTION_IDLE',
  'ERR_STOPPING',
  'ERR_UPLOAD_ABORTED',
  // The daemon has not noticed yet that the last connection is gone, or is just stopping.
  'ERR_UPLOAD_BUSY',
  'ERR_UPLOAD_IDLE',
  'ERR_JOBS_STOPPED',
])

const isInterruption = (error: unknown): boolean =>
  error instanceof P2pnodeError && INTERRUPTIONS.has(error.code)

const isAbsence = (error: unknown): boolean => error instanceof P2pnodeError && error.code === NO_DAEMON_CODE

async function pause(signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(RETRY_DELAY_MS, undefined, signal === undefined ? {} : { signal })
  } catch (cause) {
    throw cancelled(cause)
  }
}
