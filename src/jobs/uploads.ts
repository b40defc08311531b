import { unlessAborted } from '../../protocols/shared/unless-aborted.ts'
import { abortable } from './async.ts'
import {
  errorOf,
  uploadBusy,
  uploadClosed,
  uploadInvalid,
  uploadNotFound,
  uploadOffset,
  uploadSize,
} from './errors.ts'
import { MAX_SUSPENDED_RUNS, SOURCE_GRACE_MS } from './limits.ts'
import type { LiveJob } from './live-job.ts'
import type { Roster } from './roster.ts'
import type { Runner } from './runner.ts'
import type { UploadSession } from './session.ts'
import type { UploadStatus } from './types.ts'

interface Options {
  roster: Roster
  runner: Runner
  sourceTimeoutMs: number
}

/** A job that is fed by a client. */
interface FedJob {
  job: LiveJob
  session: UploadSession
}

/** The client's side of upload sessions: parts come in, jobs without a client wait, and end when nobody comes. */
export class Uploads {
  readonly #roster: Roster
  readonly #runner: Runner
  readonly #sourceTimeoutMs: number
  /** By id of the job: until when the pause between two parts is nothing to worry about. */
  readonly #graceTimers = new Map<string, NodeJS.Timeout>()

  constructor({ roster, runner, sourceTimeoutMs }: Options) {
    this.#roster = roster
    this.#runner = runner
    this.#sourceTimeoutMs = sourceTimeoutMs
  }

  status(id: string): UploadStatus | undefined {
    const row = this.#roster.store.upload(id)
    return row && this.#status(row.jobId)
  }

  statusOfJob(jobId: string): UploadStatus | undefined {
    return this.#status(jobId)
  }

  async append(
    id: string,
    offset: number,
    part: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<UploadStatus> {
    const { job, session } = this.#fed(id)
    return this.#exclusively(session, async () => {
      let isCutOff = false
      try {
        await this.#settled(job, signal)
        if (session.complete) throw uploadClosed()
        if (offset !== session.offset) throw uploadOffset(session.offset, offset)
        this.#resume(job, session)
        isCutOff = true
        await this.#feed(session, part, AbortSignal.any([signal, session.over]))
        isCutOff = false
      } catch (error) {
        if (!isDone(job)) throw error
      } finally {
        if (isCutOff) this.#starve(job, session)
        else if (session.idleSinceMs === null) this.#watch(job, session)
      }
      return this.#statusOrThrow(job.record.id, id)
    })
  }

  async complete(id: string, totalBytes: number): Promise<UploadStatus> {
    if (!Number.isSafeInteger(totalBytes) || totalBytes < 0) {
      throw uploadInvalid('the size of an upload is a whole number of bytes')
    }
    const done = this.status(id)
    if (done?.state === 'done') return done
    const { job, session } = this.#fed(id)
    return this.#exclusively(session, async () => {
      await this.#settled(job, session.over)
      const declared = session.total ?? session.size
      if (declared !== null && declared !== totalBytes) throw uploadSize(declared, totalBytes)
      if (!session.complete) {
        if (session.offset !== totalBytes) throw uploadOffset(session.offset, totalBytes)
        const { state, store } = this.#roster
        await state.write(() => store.setTotal(session.id, totalBytes))
        session.end(totalBytes)
        this.#resume(job, session)
      }
      return this.#statusOrThrow(job.record.id, id)
    })
  }

  /** A job whose client is not there, when the node starts or the session is new. */
  awaitClient(job: LiveJob, session: UploadSession): void {
    session.idleSinceMs ??= this.#roster.now()
    const { idleSinceMs } = session
    this.#roster.change(job, 'needs-source', null, () =>
      this.#roster.store.setIdleSince(session.id, idleSinceMs),
    )
  }

  /** Ends the jobs whose client stayed away too long. */
  async expire(): Promise<void> {
    const latestMs = this.#roster.now() - this.#sourceTimeoutMs
    const expired = this.#roster.all().filter(({ session }) => {
      if (session === null || session.busy || session.idleSinceMs === null) return false
      return session.idleSinceMs <= latestMs
    })
    await Promise.all(expired.map((job) => this.#runner.interrupt(job, 'expire')))
  }

  stop(): void {
    for (const timer of this.#graceTimers.values()) clearTimeout(timer)
    this.#graceTimers.clear()
  }

  #fed(id: string): FedJob {
    const row = this.#roster.store.upload(id)
    if (row === undefined) throw uploadNotFound(id)
    const job = this.#roster.get(row.jobId)
    const session = job?.session ?? null
    if (job !== undefined && session !== null) return { job, session }
    const error = this.#roster.store.get(row.jobId)?.error ?? null
    throw error === null ? uploadClosed() : errorOf(error)
  }

  async #exclusively<T>(session: UploadSession, work: () => Promise<T>): Promise<T> {
    if (session.busy) throw uploadBusy()
    session.busy = true
    try {
      return await work()
    } finally {
      session.busy = false
    }
  }

  /** A run that is being set aside takes nothing more; the next one begins at what is committed. */
  async #settled({ run, session }: LiveJob, signal: AbortSignal): Promise<void> {
    if (run !== null && run.ending !== null) await unlessAborted(run.settled, signal)
    session?.over.throwIfAborted()
  }

  async #feed(session: UploadSession, part: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    for await (const bytes of abortable(part, signal)) {
      const end = session.offset + bytes.byteLength
      if (session.size !== null && end > session.size) throw uploadSize(session.size, end)
      await session.offer(bytes, signal)
    }
  }

  /** The client is there: the job needs its place again. */
  #resume(job: LiveJob, session: UploadSession): void {
    this.#unwatch(job)
    if (session.idleSinceMs !== null) {
      session.idleSinceMs = null
      this.#roster.change(job, job.record.state, job.record.reason, () =>
        this.#roster.store.setIdleSince(session.id, null),
      )
    }
    this.#runner.request(job)
  }

  /** Between two parts: only when the next one is late, and the job has nothing left to do, does it need its source. */
  #watch(job: LiveJob, session: UploadSession): void {
    this.#unwatch(job)
    if (job.ended || session.complete || session.over.aborted) return
    const timer = setTimeout(() => {
      if (session.busy) return
      if (session.starving) this.#starve(job, session)
      else this.#watch(job, session)
    }, SOURCE_GRACE_MS)
    this.#graceTimers.set(job.record.id, timer.unref())
  }

  #unwatch(job: LiveJob): void {
    clearTimeout(this.#graceTimers.get(job.record.id))
    this.#graceTimers.delete(job.record.id)
  }

  /** The client is gone. The job keeps what it took, gives up its place and waits. */
  #starve(job: LiveJob, session: UploadSession): void {
    this.#unwatch(job)
    if (job.ended || session.complete || session.over.aborted) return
    session.withhold()
    this.#runner.leave(job)
    session.idleSinceMs = this.#roster.now()
    this.awaitClient(job, session)
    this.#suspendSurplus(job)
  }

  /** Never one whose client is back: the bytes that it sends belong behind what the run took. */
  #suspendSurplus(newest: LiveJob): void {
    const waiting = this.#roster
      .all()
      .filter(({ run, session }) => run?.ending === null && session !== null && session.idleSinceMs !== null)
      .filter((job) => job === newest || job.session?.busy === false)
      .sort((a, b) => (a.session?.idleSinceMs ?? 0) - (b.session?.idleSinceMs ?? 0))
    for (const job of waiting.slice(0, Math.max(0, waiting.length - MAX_SUSPENDED_RUNS))) {
      void this.#runner.interrupt(job, 'suspend')
    }
  }

  #statusOrThrow(jobId: string, id: string): UploadStatus {
    const status = this.#status(jobId)
    if (status === undefined) throw uploadNotFound(id)
    return status
  }

  #status(jobId: string): UploadStatus | undefined {
    const job = this.#roster.get(jobId)
    const session = job?.session ?? null
    if (job !== undefined && session !== null) {
      const { id, offset, committed, size } = session
      return { id, jobId, state: job.record.state, offset, committedOffset: committed, size }
    }
    const row = this.#roster.store.uploadOfJob(jobId)
    const record = row && this.#roster.store.get(jobId)
    if (row === undefined || record === undefined) return undefined
    // A job that is done took care of everything, committed or not.
    const taken = record.state === 'done' ? Math.max(row.total ?? 0, row.committed) : row.committed
    return { id: row.id, jobId, state: record.state, offset: taken, committedOffset: taken, size: row.size }
  }
}

function isDone(job: LiveJob): boolean {
  return job.ended && job.record.state === 'done'
}
