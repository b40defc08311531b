import type { LiveJob } from './live-job.ts'

/** The places of one kind of job: as many run at once as its handler allows, the others wait in order. */
export class Places {
  readonly #concurrency: number
  readonly #enter: (job: LiveJob) => void
  readonly #holders = new Set<LiveJob>()
  /** Bounded by MAX_UNFINISHED_JOBS, like everything that holds live jobs. */
  readonly #queue = new Set<LiveJob>()
  #open = false

  constructor(concurrency: number, enter: (job: LiveJob) => void) {
    this.#concurrency = Math.max(1, Math.floor(concurrency))
    this.#enter = enter
  }

  has(job: LiveJob): boolean {
    return this.#holders.has(job)
  }

  /** Begins to give places away. */
  open(): void {
    this.#open = true
    this.#fill()
  }

  /** Gives no more places away; whoever waits goes on waiting. */
  shut(): void {
    this.#open = false
  }

  /** Calls `enter` with the job as soon as there is a place for it; at once, if there is one now. */
  request(job: LiveJob): void {
    if (this.#holders.has(job)) return
    this.#queue.add(job)
    this.#fill()
  }

  /** The job wants no place any more, or needs its place no longer. */
  leave(job: LiveJob): void {
    this.#queue.delete(job)
    this.#holders.delete(job)
    this.#fill()
  }

  #fill(): void {
    for (const job of this.#queue) {
      if (!this.#open || this.#holders.size >= this.#concurrency) return
      this.#queue.delete(job)
      this.#holders.add(job)
      this.#enter(job)
    }
  }
}
