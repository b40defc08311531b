import type { Logger } from '../telemetry/types.ts'
import { PROGRESS_ANNOUNCE_MS, PROGRESS_PERSIST_MS } from './limits.ts'
import type { LiveJob } from './live-job.ts'
import type { JobRecord } from './types.ts'

interface Options {
  log: Logger
  /** Writes the progress of these jobs in one transaction. */
  persist: (jobs: Iterable<LiveJob>) => void
}

/**
 * Tells listeners what changed. Changes of state go out at once; progress, which may be reported for every block, goes
 * out a few times a second and to disk once.
 */
export class Announcer {
  readonly #log: Logger
  readonly #persist: Options['persist']
  readonly #listeners = new Set<(job: JobRecord) => void>()
  readonly #toAnnounce = new Set<LiveJob>()
  readonly #toPersist = new Set<LiveJob>()
  #announceTimer: NodeJS.Timeout | undefined
  #persistTimer: NodeJS.Timeout | undefined

  constructor({ log, persist }: Options) {
    this.#log = log
    this.#persist = persist
  }

  listen(listener: (job: JobRecord) => void): () => void {
    // A wrapper of its own: the same function may listen twice, and each ends alone.
    const own = (job: JobRecord) => listener(job)
    this.#listeners.add(own)
    return () => {
      this.#listeners.delete(own)
    }
  }

  announce(record: JobRecord): void {
    for (const listener of this.#listeners) {
      try {
        listener(record)
      } catch (error) {
        this.#log.error({ err: error, job: record.id }, 'a listener for changes of jobs failed')
      }
    }
  }

  progressed(job: LiveJob): void {
    this.#toAnnounce.add(job)
    this.#toPersist.add(job)
    this.#announceTimer ??= setTimeout(() => this.#announceAll(), PROGRESS_ANNOUNCE_MS).unref()
    this.#persistTimer ??= setTimeout(() => this.#persistAll(), PROGRESS_PERSIST_MS).unref()
  }

  /** The job ended: its last record says everything. */
  forget(job: LiveJob): void {
    this.#toAnnounce.delete(job)
    this.#toPersist.delete(job)
  }

  /** Writes what waits. */
  close(): void {
    this.#announceAll()
    this.#persistAll()
  }

  #announceAll(): void {
    clearTimeout(this.#announceTimer)
    this.#announceTimer = undefined
    const jobs = [...this.#toAnnounce]
    this.#toAnnounce.clear()
    for (const job of jobs) this.announce(job.record)
  }

  #persistAll(): void {
    clearTimeout(this.#persistTimer)
    this.#persistTimer = undefined
    if (this.#toPersist.size === 0) return
    try {
      this.#persist(this.#toPersist)
    } catch (error) {
      // Progress is a courtesy: the next report writes it again.
      this.#log.warn({ err: error }, 'writing the progress of jobs failed')
    }
    this.#toPersist.clear()
  }
}
