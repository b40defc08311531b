import type { Logger } from '../telemetry/types.ts'

/**
 * - `queued`: waits for its turn
 * - `running`
 * - `waiting`: cannot go on now; `reason` says why; it tries again by itself
 * - `needs-source`: waits for the client that has the bytes; expires after `jobs.sourceTimeout`
 * - `done`, `failed`, `cancelled`: ended
 */
export type JobState = 'queued' | 'running' | 'waiting' | 'needs-source' | 'done' | 'failed' | 'cancelled'

export interface JobProgress {
  /** How much is done, in `unit`. */
  done: number
  /** How much there is in all, in `unit`, where that is known. */
  total?: number
  unit: 'bytes' | 'blocks' | 'items'
  /** What is being done now, in a few words for a person. */
  note?: string
  /** Further counters worth showing, such as `{ files: 12 }`. */
  counters?: Record<string, number>
}

export interface JobFailure {
  code: string
  /** One of `ErrorKind`: decides the exit code of a command that waited. */
  kind: string
  message: string
  details?: Record<string, unknown>
}

/** One durable job as anybody may see it. Times are milliseconds since the Unix epoch. */
export interface JobRecord {
  id: string
  kind: string
  state: JobState
  /** For people: `add holiday.tar`. */
  title: string
  params: unknown
  progress: JobProgress | null
  reason: string | null
  result: unknown
  error: JobFailure | null
  createdAtMs: number
  updatedAtMs: number
  endedAtMs: number | null
}

/** The bytes that a client sends for a job, in order, from `offset` on. */
export interface JobSource extends AsyncIterable<Uint8Array> {
  /** Where the first byte of this iteration lies in the whole upload: the last committed offset. */
  readonly offset: number
  /** The whole size in bytes, where the client told it. */
  readonly size: number | null
  /**
   * Makes durable, in one transaction, that everything before `offset` is taken care of and what the handler needs to
   * go on from there. After a crash the client sends again from the last committed offset.
   */
  commit(offset: number, checkpoint: unknown): Promise<void>
}

export interface JobContext<Params> {
  readonly id: string
  readonly params: Params
  /** Aborts on cancel and on stop of the node. On stop the job is resumed at the next start. */
  readonly signal: AbortSignal
  readonly log: Logger
  /** The last checkpoint, or undefined at the first run. */
  readonly checkpoint: unknown
  /** Makes a checkpoint (JSON-serialisable, at most 1 MiB) durable. */
  saveCheckpoint(checkpoint: unknown): Promise<void>
  /** Cheap: kept in memory, written to disk at most once a second. */
  progress(progress: JobProgress): void
  /** Says why the job cannot go on now; `null` when it goes on. */
  waiting(reason: string | null): void
  /** Only for kinds that are fed by an upload session. */
  readonly source: JobSource | null
}

/**
 * Keeps the texts of a job's rows from whoever reads the disk. `row` is the same for the same text of the same job, and
 * for no other: what was sealed for one row opens for no other.
 */
export interface JobPrivacy {
  seal(row: string, text: string): string
  /** @throws where it was sealed for another row, or under a key that is no longer there */
  open(row: string, sealed: string): string
}

export interface JobHandler<Params = unknown, Result = unknown> {
  kind: string
  /** For kinds whose parameters, results or words are nobody's business: their texts are sealed on disk. */
  privacy?: JobPrivacy
  /** How many of this kind run at once; the others wait as `queued`. */
  concurrency: number
  /** Whether `run` goes on after a restart of the daemon; otherwise the job ends as failed with `ERR_JOB_INTERRUPTED`. */
  resumable: boolean
  title(params: Params): string
  /** Does the work; the result must be JSON-serialisable. Called again with the last checkpoint after a restart. */
  run(context: JobContext<Params>): Promise<Result>
  /**
   * Frees what an unfinished job holds (leases, tables of its own) once it failed, was cancelled or expired. The parameters
   * are null where they were sealed and do not open any more.
   */
  discard?(id: string, params: Params): Promise<void>
}

export interface SubmitOptions {
  /** With an upload session: the fingerprint by which a client finds its session again, and the size if known. */
  upload?: { fingerprint: string; size: number | null }
}

export interface UploadStatus {
  id: string
  jobId: string
  state: JobState
  /** Send from here: everything before is taken care of. */
  offset: number
  /** Survives a crash of the daemon. */
  committedOffset: number
  size: number | null
}

export interface Jobs {
  register<Params, Result>(handler: JobHandler<Params, Result>): void
  /** Makes the job durable, then queues it. With `upload`, an unfinished session with that fingerprint is taken up again. */
  submit(kind: string, params: unknown, options?: SubmitOptions): Promise<JobRecord>
  get(id: string): JobRecord | undefined
  /** Newest first, at most `limit` (1 to 1 000). */
  list(filter?: { state?: JobState; kind?: string; limit?: number }): JobRecord[]
  cancel(id: string): Promise<JobRecord>
  /** Resolves once the job has ended; rejects only when the signal aborts or the job is unknown. */
  wait(id: string, signal: AbortSignal): Promise<JobRecord>
  counts(): Record<JobState, number>
  /** Calls back on every change of any job; returns the function that ends it. */
  onChange(listener: (job: JobRecord) => void): () => void

  upload(id: string): UploadStatus | undefined
  uploadOfJob(jobId: string): UploadStatus | undefined
  /**
   * Feeds one part of an upload; `offset` must equal the session's offset. Resolves when the job has taken all of it
   * (taken, not committed). Back-pressure reaches `part`.
   */
  append(
    id: string,
    offset: number,
    part: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<UploadStatus>
  /** Says that no byte follows. */
  complete(id: string, totalBytes: number): Promise<UploadStatus>

  start(): Promise<void>
  stop(): Promise<void>
}
