import type { Logger } from '../telemetry/types.ts'
import { wait } from './async.ts'
import {
  errorOf,
  failureOf,
  jobCancelled,
  jobInterrupted,
  jobKindUnknown,
  jobsStopped,
  jobSuspended,
  sourceTimeout,
  uploadClosed,
} from './errors.ts'
import { toJson } from './json.ts'
import { FINISH_RETRY_MS, MAX_RESULT_BYTES } from './limits.ts'
import type { Ending, LiveJob, Run } from './live-job.ts'
import { Places } from './places.ts'
import type { Roster } from './roster.ts'
import { contextOf } from './run-context.ts'
import type { JobFailure, JobHandler, JobRecord } from './types.ts'

interface Options {
  roster: Roster
  log: Logger
  sourceTimeoutMs: number
}

/** How a job ended. */
type Outcome =
  | { state: 'done'; result: unknown; resultJson: string }
  | { state: 'failed' | 'cancelled'; error: JobFailure }

interface Kind {
  handler: JobHandler
  places: Places
}

/** Runs jobs: gives them their places, calls their handlers, and records what came of it. */
export class Runner {
  readonly #roster: Roster
  readonly #log: Logger
  readonly #sourceTimeoutMs: number
  readonly #kinds = new Map<string, Kind>()
  /** Aborts when the node stops. */
  readonly #stopping = new AbortController()
  /** Runs and what follows them, until nothing more is to be written: some a job. */
  readonly #underWay = new Set<Promise<void>>()
  #open = false

  constructor({ roster, log, sourceTimeoutMs }: Options) {
    this.#roster = roster
    this.#log = log
    this.#sourceTimeoutMs = sourceTimeoutMs
  }

  register(handler: JobHandler): void {
    if (this.#kinds.has(handler.kind)) throw new Error(`the job kind ${handler.kind} is registered twice`)
    if (handler.privacy !== undefined) this.#roster.store.protect(handler.kind, handler.privacy)
    const places = new Places(handler.concurrency, (job) => this.#enter(job))
    this.#kinds.set(handler.kind, { handler, places })
    if (this.#open) places.open()
  }

  /** @throws ERR_JOB_KIND_UNKNOWN */
  handler(kind: string): JobHandler {
    return this.#kind(kind).handler
  }

  knows(kind: string): boolean {
    return this.#kinds.has(kind)
  }

  /** Begins to run what waits. */
  open(): void {
    this.#open = true
    for (const { places } of this.#kinds.values()) places.open()
  }

  /** Runs the job, or lets it go on, as soon as its kind has a place. */
  request(job: LiveJob): void {
    if (job.ended) return
    const { places } = this.#kind(job.record.kind)
    places.request(job)
    if (!places.has(job)) this.#roster.change(job, 'queued')
  }

  /** Takes the job out of its place or out of the line: it cannot use one now. */
  leave(job: LiveJob): void {
    this.#kinds.get(job.record.kind)?.places.leave(job)
  }

  /** Ends a job from outside, or sets it aside. Resolves once that is recorded; a run decides how long that takes. */
  async interrupt(job: LiveJob, ending: Ending): Promise<void> {
    const { run } = job
    if (run === null) {
      await this.#track(this.#settle(job, ending, endingError(ending, this.#sourceTimeoutMs)))
      return
    }
    // To end outweighs to set aside; whoever came first of two that end wins.
    if (run.ending === null || run.ending === 'suspend') run.ending = ending
    run.controller.abort(endingError(ending, this.#sourceTimeoutMs))
    await run.settled
  }

  /** Ends a job that did not run. */
  async fail(job: LiveJob, error: unknown): Promise<void> {
    await this.#track(this.#finish(job, { state: 'failed', error: failureOf(error) }))
  }

  /** Tells every run to end; resolves when all have, and what they leave behind is freed. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const { places } of this.#kinds.values()) places.shut()
    const running = this.#roster.all().filter((job) => job.run !== null)
    for (const { session } of this.#roster.all()) session?.close(jobsStopped())
    await Promise.all(running.map((job) => this.interrupt(job, 'stop')))
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay)
  }

  /** Frees what an ended job holds, and remembers that this was done. Never rejects. */
  async discard({ id, kind, params }: JobRecord): Promise<void> {
    const discard = this.#kinds.get(kind)?.handler.discard
    if (discard === undefined) return
    await this.#track(this.#discard(id, () => this.handler(kind).discard?.(id, params)))
  }

  /** Has stop() wait for it. */
  #track(work: Promise<void>): Promise<void> {
    this.#underWay.add(work)
    const forget = () => this.#underWay.delete(work)
    work.then(forget, forget)
    return work
  }

  #kind(kind: string): Kind {
    const known = this.#kinds.get(kind)
    if (known === undefined) throw jobKindUnknown(kind)
    return known
  }

  #enter(job: LiveJob): void {
    this.#roster.change(job, 'running')
    if (job.run === null) this.#start(job)
    job.session?.grant()
  }

  #start(job: LiveJob): void {
    const run: Run = { controller: new AbortController(), ending: null, settled: Promise.resolve() }
    job.run = run
    run.settled = this.#track(this.#execute(job, run))
  }

  async #execute(job: LiveJob, run: Run): Promise<void> {
    try {
      let result: unknown
      let resultJson: string
      try {
        const context = contextOf({ job, run, roster: this.#roster, log: this.#log })
        result = await this.handler(job.record.kind).run(context)
        resultJson = toJson('result', result, MAX_RESULT_BYTES)
      } catch (error) {
        this.#endRun(job)
        await this.#settle(job, run.ending, error)
        return
      }
      this.#endRun(job)
      await this.#finish(job, { state: 'done', result: JSON.parse(resultJson), resultJson })
    } catch (error) {
      // Nothing above should throw; if it does, the job stays as it is on disk and goes on at the next start.
      this.#log.error({ err: error, job: job.record.id }, 'the end of a job could not be handled')
    }
  }

  #endRun(job: LiveJob): void {
    job.run = null
    job.session?.detach()
    this.leave(job)
  }

  /** What becomes of a job whose run threw, or that was told to end before it ran. */
  async #settle(job: LiveJob, ending: Ending | null, error: unknown): Promise<void> {
    const { id, kind } = job.record
    switch (ending) {
      case 'stop':
      case 'suspend':
        if (this.handler(kind).resumable) this.#setAside(job)
        else await this.#finish(job, { state: 'failed', error: failureOf(jobInterrupted()) })
        return
      case 'cancel':
        await this.#finish(job, { state: 'cancelled', error: failureOf(jobCancelled()) })
        return
      case 'expire':
        await this.#finish(job, { state: 'failed', error: failureOf(sourceTimeout(this.#sourceTimeoutMs)) })
        return
      case null: {
        const failure = failureOf(error)
        const details = { err: error, job: id, kind }
        if (failure.code === 'ERR_INTERNAL') this.#log.error(details, 'a job failed unexpectedly')
        else this.#log.info(details, 'a job failed')
        await this.#finish(job, { state: 'failed', error: failure })
      }
    }
  }

  /** Nothing is lost: the job goes on from its checkpoint, at the next start or when its client comes. */
  #setAside(job: LiveJob): void {
    const needsSource = job.session !== null && !job.session.complete
    this.#roster.change(job, needsSource ? 'needs-source' : 'queued')
  }

  async #finish(job: LiveJob, outcome: Outcome): Promise<void> {
    if (job.ended) return
    const endedAtMs = this.#roster.now()
    const isDone = outcome.state === 'done'
    const record: JobRecord = {
      ...job.record,
      state: outcome.state,
      reason: null,
      result: isDone ? outcome.result : null,
      error: isDone ? null : outcome.error,
      updatedAtMs: endedAtMs,
      endedAtMs,
    }
    job.ended = true
    this.leave(job)
    const needsCleanup = !isDone && this.#kinds.get(record.kind)?.handler.discard !== undefined
    if (!(await this.#recordEnd(record, isDone ? outcome.resultJson : null, needsCleanup))) return
    // Before anybody is told: whoever hears that a job failed may collect what it left at once.
    if (needsCleanup) await this.discard(record)
    job.record = record
    this.#roster.remove(job)
    job.session?.close(isDone ? uploadClosed() : errorOf(outcome.error))
    for (const waiter of job.waiters) waiter.done(record)
    job.waiters.clear()
    this.#roster.announcer.announce(record)
  }

  /** False when the node stopped before the disk took it: then the job goes on, and ends, at the next start. */
  async #recordEnd(record: JobRecord, resultJson: string | null, cleanup: boolean): Promise<boolean> {
    for (;;) {
      try {
        await this.#roster.state.write(() => this.#roster.store.end(record, resultJson, cleanup))
        return true
      } catch (error) {
        this.#log.error({ err: error, job: record.id }, 'the end of a job could not be written; trying again')
      }
      if (this.#stopping.signal.aborted) return false
      await wait(FINISH_RETRY_MS, this.#stopping.signal)
    }
  }

  async #discard(id: string, discard: () => Promise<void> | undefined): Promise<void> {
    try {
      await discard()
      this.#roster.state.writeRelaxed(() => this.#roster.store.cleanedUp(id))
    } catch (error) {
      this.#log.error(
        { err: error, job: id },
        'what an ended job holds could not be freed; the next start tries again',
      )
    }
  }
}

function endingError(ending: Ending, sourceTimeoutMs: number): Error {
  switch (ending) {
    case 'stop':
      return jobsStopped()
    case 'suspend':
      return jobSuspended()
    case 'cancel':
      return jobCancelled()
    case 'expire':
      return sourceTimeout(sourceTimeoutMs)
  }
}
