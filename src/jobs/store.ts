import type { Database, Statement } from 'better-sqlite3'
import type { StateDatabase } from '../storage/state/index.ts'
import { failureOf } from './errors.ts'
import { SealedTexts } from './sealed-texts.ts'
import type { JobFailure, JobPrivacy, JobProgress, JobRecord, JobState } from './types.ts'

interface JobRow {
  id: string
  kind: string
  state: JobState
  title: string
  params: string
  progress: string | null
  reason: string | null
  result: string | null
  error: string | null
  created_ms: number
  updated_ms: number
  ended_ms: number | null
}

/** The durable part of an upload session. */
export interface UploadRow {
  id: string
  jobId: string
  kind: string
  fingerprint: string
  size: number | null
  committed: number
  total: number | null
  idleSinceMs: number | null
}

export interface ListFilter {
  state: JobState | null
  kind: string | null
  limit: number
}

const JOB_COLUMNS =
  'id, kind, state, title, params, progress, reason, result, error, created_ms, updated_ms, ended_ms'
const UPLOAD_COLUMNS =
  'id, job_id AS jobId, kind, fingerprint, size, committed, total, idle_since_ms AS idleSinceMs'

/**
 * Jobs as rows of state.db. Every method is one synchronous statement or a few; whoever calls decides by which kind of
 * transaction, and so how durable it is.
 */
export class JobStore {
  readonly #sql: Statements
  readonly #texts = new SealedTexts()

  constructor(state: StateDatabase) {
    this.#sql = prepare(state.db)
  }

  /** From here on the texts of this kind's rows are sealed; those that are plain still read. */
  protect(kind: string, privacy: JobPrivacy): void {
    this.#texts.protect(kind, privacy)
  }

  insert(record: JobRecord, paramsJson: string, upload: UploadRow | null): void {
    const { id, kind, state, title, createdAtMs, updatedAtMs } = record
    const sealedTitle = this.#texts.seal(record, 'title', title)
    const sealedParams = this.#texts.seal(record, 'params', paramsJson)
    this.#sql.insertJob.run(id, kind, state, sealedTitle, sealedParams, createdAtMs, updatedAtMs)
    if (upload !== null) {
      const { fingerprint, size, idleSinceMs } = upload
      this.#sql.insertUpload.run(upload.id, id, kind, fingerprint, size, idleSinceMs)
    }
  }

  get(id: string): JobRecord | undefined {
    const row = this.#sql.getJob.get(id)
    return row && this.#toRecord(row)
  }

  /** Newest first. */
  list({ state, kind, limit }: ListFilter): JobRecord[] {
    const rows =
      state === null
        ? kind === null
          ? this.#sql.listJobs.all(limit)
          : this.#sql.listJobsOfKind.all(kind, limit)
        : kind === null
          ? this.#sql.listJobsInState.all(state, limit)
          : this.#sql.listJobsOfKindInState.all(kind, state, limit)
    return rows.map((row) => this.#toRecord(row))
  }

  /** Oldest first, as they are to go on. */
  unfinished(): JobRecord[] {
    return this.#sql.unfinishedJobs.all().map((row) => this.#toRecord(row))
  }

  counts(): { state: JobState; count: number }[] {
    return this.#sql.counts.all()
  }

  setState(record: JobRecord): void {
    const reason = this.#texts.seal(record, 'reason', record.reason)
    this.#sql.setState.run(record.state, reason, record.updatedAtMs, record.id)
  }

  setProgress(record: JobRecord): void {
    this.#sql.setProgress.run(this.#progressOf(record), record.updatedAtMs, record.id)
  }

  /** Records how a job ended. Its checkpoint goes; its upload session stays to be asked about, but takes nothing more. */
  end(record: JobRecord, resultJson: string | null, cleanup: boolean): void {
    const { id, state, error, updatedAtMs, endedAtMs } = record
    this.#sql.endJob.run(
      state,
      this.#progressOf(record),
      this.#texts.seal(record, 'result', resultJson),
      this.#texts.seal(record, 'error', error === null ? null : JSON.stringify(error)),
      cleanup ? 1 : 0,
      updatedAtMs,
      endedAtMs,
      id,
    )
    this.#sql.deleteCheckpoint.run(id)
    this.#sql.closeUpload.run(id)
  }

  /** @throws ERR_JOB_SEALED */
  checkpoint(job: Pick<JobRecord, 'id' | 'kind'>): unknown {
    const row = this.#sql.getCheckpoint.get(job.id)
    return row === undefined ? undefined : JSON.parse(this.#texts.open(job, 'checkpoint', row.value))
  }

  setCheckpoint(job: Pick<JobRecord, 'id' | 'kind'>, json: string): void {
    this.#sql.setCheckpoint.run(job.id, this.#texts.seal(job, 'checkpoint', json))
  }

  /** Ended jobs whose discard() has not succeeded yet. */
  toCleanUp(limit: number): JobRecord[] {
    return this.#sql.toCleanUp.all(limit).map((row) => this.#toRecord(row))
  }

  cleanedUp(id: string): void {
    this.#sql.cleanedUp.run(id)
  }

  upload(id: string): UploadRow | undefined {
    return this.#sql.getUpload.get(id)
  }

  uploadOfJob(jobId: string): UploadRow | undefined {
    return this.#sql.getUploadOfJob.get(jobId)
  }

  /** The unfinished session with this fingerprint. */
  openUpload(kind: string, fingerprint: string): UploadRow | undefined {
    return this.#sql.getOpenUpload.get(kind, fingerprint)
  }

  setCommitted(uploadId: string, committed: number): void {
    this.#sql.setCommitted.run(committed, uploadId)
  }

  setSize(uploadId: string, size: number): void {
    this.#sql.setSize.run(size, uploadId)
  }

  setTotal(uploadId: string, total: number): void {
    this.#sql.setTotal.run(total, uploadId)
  }

  setIdleSince(uploadId: string, idleSinceMs: number | null): void {
    this.#sql.setIdleSince.run(idleSinceMs, uploadId)
  }

  endedCount(): number {
    return this.#sql.endedCount.get()?.count ?? 0
  }

  /** Deletes up to `limit` jobs that ended before a time; returns how many. */
  deleteEndedBefore(timeMs: number, limit: number): number {
    return this.#sql.deleteEndedBefore.run(timeMs, limit).changes
  }

  /** Deletes the `limit` jobs that ended first; returns how many. */
  deleteOldestEnded(limit: number): number {
    return this.#sql.deleteEndedBefore.run(Number.MAX_SAFE_INTEGER, limit).changes
  }

  #progressOf(record: JobRecord): string | null {
    const { progress } = record
    return this.#texts.seal(record, 'progress', progress === null ? null : JSON.stringify(progress))
  }

  /** What does not open is null, and the error says so: a lost key must not take the list of jobs with it. */
  #toRecord(row: JobRow): JobRecord {
    let error: JobFailure | null = null
    const open = (column: 'title' | 'params' | 'progress' | 'reason' | 'result' | 'error'): string | null => {
      const text = row[column]
      if (text === null) return null
      try {
        return this.#texts.open(row, column, text)
      } catch (reason) {
        error = failureOf(reason)
        return null
      }
    }
    const parsed = (column: 'params' | 'progress' | 'result' | 'error'): unknown => {
      const text = open(column)
      return text === null ? null : JSON.parse(text)
    }
    const record: JobRecord = {
      id: row.id,
      kind: row.kind,
      state: row.state,
      title: open('title') ?? row.kind,
      params: parsed('params'),
      progress: parsed('progress') as JobProgress | null,
      reason: open('reason'),
      result: parsed('result'),
      error: parsed('error') as JobFailure | null,
      createdAtMs: row.created_ms,
      updatedAtMs: row.updated_ms,
      endedAtMs: row.ended_ms,
    }
    return error === null ? record : { ...record, error }
  }
}

type Statements = ReturnType<typeof prepare>

function prepare(db: Database) {
  const jobs = <P extends unknown[]>(sql: string): Statement<P, JobRow> => db.prepare(sql)
  const uploads = <P extends unknown[]>(sql: string): Statement<P, UploadRow> => db.prepare(sql)
  return {
    insertJob: db.prepare(
      'INSERT INTO job (id, kind, state, title, params, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    getJob: jobs<[string]>(`SELECT ${JOB_COLUMNS} FROM job WHERE id = ?`),
    // One statement a filter, so that each finds its index.
    listJobs: jobs<[number]>(`SELECT ${JOB_COLUMNS} FROM job ORDER BY id DESC LIMIT ?`),
    listJobsInState: jobs<[string, number]>(
      `SELECT ${JOB_COLUMNS} FROM job WHERE state = ? ORDER BY id DESC LIMIT ?`,
    ),
    listJobsOfKind: jobs<[string, number]>(
      `SELECT ${JOB_COLUMNS} FROM job WHERE kind = ? ORDER BY id DESC LIMIT ?`,
    ),
    listJobsOfKindInState: jobs<[string, string, number]>(
      `SELECT ${JOB_COLUMNS} FROM job WHERE kind = ? AND state = ? ORDER BY id DESC LIMIT ?`,
    ),
    unfinishedJobs: jobs<[]>(`SELECT ${JOB_COLUMNS} FROM job WHERE ended_ms IS NULL ORDER BY id`),
    counts: db.prepare<[], { state: JobState; count: number }>(
      'SELECT state, count(*) AS count FROM job GROUP BY state',
    ),
    setState: db.prepare('UPDATE job SET state = ?, reason = ?, updated_ms = ? WHERE id = ?'),
    setProgress: db.prepare('UPDATE job SET progress = ?, updated_ms = ? WHERE id = ?'),
    endJob: db.prepare(
      `UPDATE job SET state = ?, reason = NULL, progress = ?, result = ?, error = ?, cleanup = ?, updated_ms = ?,
       ended_ms = ? WHERE id = ?`,
    ),
    getCheckpoint: db.prepare<[string], { value: string }>(
      'SELECT value FROM job_checkpoint WHERE job_id = ?',
    ),
    setCheckpoint: db.prepare(
      'INSERT INTO job_checkpoint (job_id, value) VALUES (?, ?) ON CONFLICT (job_id) DO UPDATE SET value = excluded.value',
    ),
    deleteCheckpoint: db.prepare('DELETE FROM job_checkpoint WHERE job_id = ?'),
    toCleanUp: jobs<[number]>(`SELECT ${JOB_COLUMNS} FROM job WHERE cleanup = 1 ORDER BY id LIMIT ?`),
    cleanedUp: db.prepare('UPDATE job SET cleanup = 0 WHERE id = ?'),
    insertUpload: db.prepare(
      'INSERT INTO upload (id, job_id, kind, fingerprint, size, idle_since_ms) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    getUpload: uploads<[string]>(`SELECT ${UPLOAD_COLUMNS} FROM upload WHERE id = ?`),
    getUploadOfJob: uploads<[string]>(`SELECT ${UPLOAD_COLUMNS} FROM upload WHERE job_id = ?`),
    getOpenUpload: uploads<[string, string]>(
      `SELECT ${UPLOAD_COLUMNS} FROM upload WHERE kind = ? AND fingerprint = ? AND open = 1`,
    ),
    closeUpload: db.prepare('UPDATE upload SET open = 0 WHERE job_id = ?'),
    setCommitted: db.prepare('UPDATE upload SET committed = ? WHERE id = ?'),
    setSize: db.prepare('UPDATE upload SET size = ? WHERE id = ?'),
    setTotal: db.prepare('UPDATE upload SET total = ? WHERE id = ?'),
    setIdleSince: db.prepare('UPDATE upload SET idle_since_ms = ? WHERE id = ?'),
    endedCount: db.prepare<[], { count: number }>(
      'SELECT count(*) AS count FROM job WHERE ended_ms IS NOT NULL',
    ),
    deleteEndedBefore: db.prepare(
      `DELETE FROM job WHERE id IN
       (SELECT id FROM job WHERE ended_ms < ? AND cleanup = 0 ORDER BY ended_ms LIMIT ?)`,
    ),
  }
}
