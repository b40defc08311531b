import type { StateDatabase } from '../storage/state/index.ts'
import type { Logger } from '../telemetry/types.ts'
import { Announcer } from './announcer.ts'
import type { LiveJob } from './live-job.ts'
import { JobStore } from './store.ts'
import type { JobProgress, JobRecord, JobState } from './types.ts'

interface Options {
  state: StateDatabase
  log: Logger
  now: () => number
}

/** The jobs that have not ended, with the one way to change what the world sees of them. */
export class Roster {
  readonly state: StateDatabase
  readonly store: JobStore
  readonly announcer: Announcer
  readonly now: () => number
  readonly #log: Logger
  /** Bounded by MAX_UNFINISHED_JOBS. */
  readonly #jobs = new Map<string, LiveJob>()

  constructor({ state, log, now }: Options) {
    this.state = state
    this.store = new JobStore(state)
    this.now = now
    this.#log = log
    this.announcer = new Announcer({ log, persist: (jobs) => this.#persistProgress(jobs) })
  }

  get size(): number {
    return this.#jobs.size
  }

  get(id: string): LiveJob | undefined {
    return this.#jobs.get(id)
  }

  all(): LiveJob[] {
    return [...this.#jobs.values()]
  }

  add(job: LiveJob): void {
    this.#jobs.set(job.record.id, job)
  }

  remove(job: LiveJob): void {
    this.#jobs.delete(job.record.id)
    this.announcer.forget(job)
  }

  /**
   * Changes the state of an unfinished job. The row need not survive power loss: whatever it says then, the job goes on
   * at the next start. `also` joins the same transaction.
   */
  change(job: LiveJob, state: JobState, reason: string | null = null, also?: () => void): void {
    if (job.ended) return
    const isSame = job.record.state === state && job.record.reason === reason
    if (isSame && also === undefined) return
    job.record = { ...job.record, state, reason, updatedAtMs: this.now() }
    try {
      this.state.writeRelaxed(() => {
        this.store.setState(job.record)
        also?.()
      })
    } catch (error) {
      // The job itself is not in danger; it meets the full disk on its own when it must write.
      this.#log.warn({ err: error, job: job.record.id, state }, 'writing the state of a job failed')
    }
    if (!isSame) this.announcer.announce(job.record)
  }

  progressed(job: LiveJob, progress: JobProgress): void {
    if (job.ended) return
    job.record = { ...job.record, progress, updatedAtMs: this.now() }
    this.announcer.progressed(job)
  }

  #persistProgress(jobs: Iterable<LiveJob>): void {
    this.state.writeRelaxed(() => {
      for (const { record } of jobs) {
        if (record.progress !== null) this.store.setProgress(record)
      }
    })
  }

  /** The record as it is now: what runs is known here, what ended is known to the database. */
  record(id: string): JobRecord | undefined {
    return this.#jobs.get(id)?.record ?? this.store.get(id)
  }
}
