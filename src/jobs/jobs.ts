import type { StateDatabase } from '../storage/state/index.ts'
import type { Logger } from '../telemetry/types.ts'
import { settledWithin } from './async.ts'
import {
  clip,
  errorOf,
  fingerprintInvalid,
  jobInterrupted,
  jobKindUnknown,
  jobNotFound,
  jobsFull,
  jobsStopped,
  uploadInvalid,
  uploadSize,
} from './errors.ts'
import { createIds } from './ids.ts'
import { toJson } from './json.ts'
import {
  CANCEL_WAIT_MS,
  MAX_EXPIRY_INTERVAL_MS,
  MAX_FINGERPRINT_CHARS,
  MAX_LIST_LIMIT,
  MAX_PARAMS_BYTES,
  MAX_UNFINISHED_JOBS,
  PRUNE_AFTER_ENDED_JOBS,
  RETENTION_INTERVAL_MS,
  STOP_WAIT_MS,
} from './limits.ts'
import type { LiveJob } from './live-job.ts'
import { pruneEndedJobs } from './retention.ts'
import { Roster } from './roster.ts'
import { Runner } from './runner.ts'
import { UploadSession } from './session.ts'
import type { UploadRow } from './store.ts'
import type { JobHandler, JobRecord, Jobs, JobState, SubmitOptions, UploadStatus } from './types.ts'
import { Uploads } from './uploads.ts'

export interface JobsOptions {
  state: StateDatabase
  log: Logger
  /** How long a job waits for the client that has its bytes. */
  sourceTimeoutMs: number
  /** How long the records of ended jobs are kept. */
  retentionMs: number
  /** Milliseconds since the Unix epoch; for tests. */
  now?: () => number
}

/** Ended jobs of an earlier run of the daemon whose discard() is tried again at a start, at most. */
const MAX_CLEANUPS_AT_START = 1_000
const MIN_EXPIRY_INTERVAL_MS = 20

/** Durable jobs and upload sessions over state.db; see types.ts for the contract. */
export function createJobs(options: JobsOptions): Jobs {
  return new DurableJobs(options)
}

class DurableJobs implements Jobs {
  readonly #roster: Roster
  readonly #runner: Runner
  readonly #uploads: Uploads
  readonly #state: StateDatabase
  readonly #log: Logger
  readonly #newId: () => string
  readonly #sourceTimeoutMs: number
  readonly #retentionMs: number
  readonly #stopping = new AbortController()
  #started: Promise<void> | undefined
  #stopped: Promise<void> | undefined
  #timers: NodeJS.Timeout[] = []
  #pruning: Promise<void> = Promise.resolve()
  #endedSincePrune = 0

  constructor({ state, log, sourceTimeoutMs, retentionMs, now = Date.now }: JobsOptions) {
    this.#state = state
    this.#log = log.child({ part: 'jobs' })
    this.#sourceTimeoutMs = sourceTimeoutMs
    this.#retentionMs = retentionMs
    this.#newId = createIds(now)
    this.#roster = new Roster({ state, log: this.#log, now })
    this.#runner = new Runner({ roster: this.#roster, log: this.#log, sourceTimeoutMs })
    this.#uploads = new Uploads({ roster: this.#roster, runner: this.#runner, sourceTimeoutMs })
    this.onChange(({ endedAtMs }) => {
      if (endedAtMs !== null) this.#countEnded()
    })
  }

  register<Params, Result>(handler: JobHandler<Params, Result>): void {
    // What was stored as parameters of a kind comes back to the handler of that kind.
    this.#runner.register(handler)
  }

  async submit(kind: string, params: unknown, options: SubmitOptions = {}): Promise<JobRecord> {
    this.#checkRunning()
    const { upload } = options
    if (upload !== undefined) checkUpload(upload)
    const handler = this.#runner.handler(kind)
    // From here to the insertion everything is synchronous, so that two submits cannot make two sessions.
    const unfinished = upload && this.#roster.store.openUpload(kind, upload.fingerprint)
    if (unfinished !== undefined) return this.#takeUp(unfinished.jobId, upload?.size ?? null)
    if (this.#roster.size >= MAX_UNFINISHED_JOBS) throw jobsFull()

    const paramsJson = toJson('parameters', params, MAX_PARAMS_BYTES)
    const nowMs = this.#roster.now()
    const record: JobRecord = {
      id: this.#newId(),
      kind,
      state: upload === undefined ? 'queued' : 'needs-source',
      title: clip(handler.title(params)),
      // As it will be after a restart, not as the caller's object may change meanwhile.
      params: JSON.parse(paramsJson),
      progress: null,
      reason: null,
      result: null,
      error: null,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      endedAtMs: null,
    }
    const row: UploadRow | null = upload === undefined ? null : newUpload(this.#newId(), record, upload)
    const job = newLiveJob(record, row)
    try {
      await this.#state.write(() => {
        this.#roster.store.insert(record, paramsJson, row)
        // With the row, so that the bound counts it and a second submit finds the session, while it is being flushed.
        this.#roster.add(job)
      })
    } catch (error) {
      this.#roster.remove(job)
      throw error
    }
    this.#roster.announcer.announce(job.record)
    if (job.session === null && !this.#stopping.signal.aborted) this.#runner.request(job)
    return job.record
  }

  get(id: string): JobRecord | undefined {
    return this.#roster.record(id)
  }

  list(filter: { state?: JobState; kind?: string; limit?: number } = {}): JobRecord[] {
    const limit = Math.min(Math.max(1, Math.floor(filter.limit ?? 100)), MAX_LIST_LIMIT)
    return this.#roster.store
      .list({ state: filter.state ?? null, kind: filter.kind ?? null, limit })
      .map((record) => this.#roster.get(record.id)?.record ?? record)
  }

  async cancel(id: string): Promise<JobRecord> {
    const job = this.#roster.get(id)
    if (job !== undefined) {
      this.#checkRunning()
      const patience = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(CANCEL_WAIT_MS)])
      const ended = this.wait(id, patience)
      void this.#runner.interrupt(job, 'cancel')
      // A run that does not listen ends when it does; the record says that it still runs.
      await ended.catch(() => {})
    }
    const record = this.get(id)
    if (record === undefined) throw jobNotFound(id)
    return record
  }

  async wait(id: string, signal: AbortSignal): Promise<JobRecord> {
    signal.throwIfAborted()
    const job = this.#roster.get(id)
    if (job === undefined) {
      const record = this.#roster.store.get(id)
      if (record === undefined) throw jobNotFound(id)
      return record
    }
    this.#checkRunning()
    return new Promise((resolve, reject) => {
      const waiter = {
        done: (record: JobRecord) => {
          signal.removeEventListener('abort', abort)
          resolve(record)
        },
        failed: (error: unknown) => {
          signal.removeEventListener('abort', abort)
          reject(error)
        },
      }
      const abort = () => {
        job.waiters.delete(waiter)
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', abort, { once: true })
      job.waiters.add(waiter)
    })
  }

  counts(): Record<JobState, number> {
    const counts: Record<JobState, number> = {
      queued: 0,
      running: 0,
      waiting: 0,
      'needs-source': 0,
      done: 0,
      failed: 0,
      cancelled: 0,
    }
    for (const { state, count } of this.#roster.store.counts()) counts[state] = count
    return counts
  }

  onChange(listener: (job: JobRecord) => void): () => void {
    return this.#roster.announcer.listen(listener)
  }

  upload(id: string): UploadStatus | undefined {
    return this.#uploads.status(id)
  }

  uploadOfJob(jobId: string): UploadStatus | undefined {
    return this.#uploads.statusOfJob(jobId)
  }

  async append(
    id: string,
    offset: number,
    part: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<UploadStatus> {
    this.#checkRunning()
    return this.#uploads.append(id, offset, part, signal)
  }

  async complete(id: string, totalBytes: number): Promise<UploadStatus> {
    this.#checkRunning()
    return this.#uploads.complete(id, totalBytes)
  }

  start(): Promise<void> {
    this.#started ??= this.#start()
    return this.#started
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #start(): Promise<void> {
    this.#checkRunning()
    await this.#resumeAll()
    for (const record of this.#roster.store.toCleanUp(MAX_CLEANUPS_AT_START))
      void this.#runner.discard(record)
    await this.#uploads.expire()
    if (this.#stopping.signal.aborted) return
    this.#runner.open()
    const expiryMs = Math.max(
      MIN_EXPIRY_INTERVAL_MS,
      Math.min(this.#sourceTimeoutMs / 4, MAX_EXPIRY_INTERVAL_MS),
    )
    this.#every(expiryMs, () => this.#uploads.expire())
    this.#every(RETENTION_INTERVAL_MS, () => this.#prune())
    void this.#prune()
  }

  async #stop(): Promise<void> {
    this.#stopping.abort(jobsStopped())
    for (const timer of this.#timers) clearInterval(timer)
    this.#uploads.stop()
    const runs = Promise.all([this.#runner.stop(), this.#pruning])
    if (!(await settledWithin(runs, STOP_WAIT_MS))) {
      this.#log.warn('some jobs did not end in time; they go on from their last checkpoint at the next start')
    }
    this.#roster.announcer.close()
    for (const job of this.#roster.all()) {
      for (const waiter of job.waiters) waiter.failed(jobsStopped())
      job.waiters.clear()
    }
  }

  /** Takes up what an earlier run of the daemon left unfinished. */
  async #resumeAll(): Promise<void> {
    const failing: Promise<void>[] = []
    for (const record of this.#roster.store.unfinished()) {
      // Submitted before the start: already here.
      if (this.#roster.get(record.id) !== undefined) continue
      const job = newLiveJob(record, this.#roster.store.uploadOfJob(record.id) ?? null)
      this.#roster.add(job)
      const error = this.#whyLost(record)
      if (error !== null) failing.push(this.#runner.fail(job, error))
      else if (job.session === null || job.session.complete) this.#runner.request(job)
      else this.#uploads.awaitClient(job, job.session)
    }
    await Promise.all(failing)
  }

  /** A job that waited in line has lost nothing, whatever its kind. */
  #whyLost({ kind, state, error }: JobRecord): Error | null {
    if (!this.#runner.knows(kind)) return jobKindUnknown(kind)
    // Of what has not ended, only a row that does not open has one.
    if (error !== null) return errorOf(error)
    return this.#runner.handler(kind).resumable || state === 'queued' ? null : jobInterrupted()
  }

  /** The client comes back to a session that it began before. */
  async #takeUp(jobId: string, size: number | null): Promise<JobRecord> {
    // Before start() the sessions of earlier runs of the daemon are not here yet.
    await this.#started
    const job = this.#roster.get(jobId)
    const session = job?.session ?? null
    if (job === undefined || session === null) {
      // Without start(), or ended in these few moments; then its record says how.
      const record = this.#roster.store.get(jobId)
      if (record === undefined) throw jobNotFound(jobId)
      return record
    }
    if (size !== null) {
      if (session.size !== null && session.size !== size) throw uploadSize(session.size, size)
      session.size = size
    }
    // Also waits until the session itself is durable, should it have been made a moment ago.
    await this.#state.write(() => {
      if (size !== null) this.#roster.store.setSize(session.id, size)
    })
    return job.record
  }

  /** Between two looks at the clock, so that a burst of short jobs does not outgrow the bound either. */
  #countEnded(): void {
    this.#endedSincePrune += 1
    if (this.#endedSincePrune < PRUNE_AFTER_ENDED_JOBS || this.#stopping.signal.aborted) return
    void this.#prune()
  }

  #prune(): Promise<void> {
    this.#endedSincePrune = 0
    this.#pruning = pruneEndedJobs({
      state: this.#state,
      store: this.#roster.store,
      endedBeforeMs: this.#roster.now() - this.#retentionMs,
      signal: this.#stopping.signal,
    }).then(
      (deleted) => {
        if (deleted > 0) this.#log.info({ deleted }, 'deleted the records of old jobs')
      },
      (error: unknown) => this.#log.error({ err: error }, 'deleting the records of old jobs failed'),
    )
    return this.#pruning
  }

  #every(intervalMs: number, work: () => Promise<void>): void {
    const timer = setInterval(() => {
      work().catch((error: unknown) => this.#log.error({ err: error }, 'looking after the jobs failed'))
    }, intervalMs)
    this.#timers.push(timer.unref())
  }

  #checkRunning(): void {
    this.#stopping.signal.throwIfAborted()
  }
}

function newLiveJob(record: JobRecord, upload: UploadRow | null): LiveJob {
  const session = upload === null ? null : new UploadSession(upload)
  return { record, run: null, session, ended: false, waiters: new Set() }
}

function newUpload(
  id: string,
  job: JobRecord,
  upload: { fingerprint: string; size: number | null },
): UploadRow {
  const { fingerprint, size } = upload
  return {
    id,
    jobId: job.id,
    kind: job.kind,
    fingerprint,
    size,
    committed: 0,
    total: null,
    idleSinceMs: job.createdAtMs,
  }
}

function checkUpload({ fingerprint, size }: { fingerprint: string; size: number | null }): void {
  if (fingerprint.length === 0 || fingerprint.length > MAX_FINGERPRINT_CHARS) throw fingerprintInvalid()
  if (size !== null && (!Number.isSafeInteger(size) || size < 0)) {
    throw uploadInvalid('the size of an upload is a whole number of bytes, or null where it is not known')
  }
}
