import { wait } from '../../jobs/async.ts'
import type { Logger } from '../../telemetry/types.ts'
import { MAX_REPUBLISH_SLEEP_MS, REPUBLISH_PAUSE_MS, REPUBLISH_RETRY_MS } from './limits.ts'
import type { NameStore } from './store.ts'

export interface RepublisherOptions {
  store: Pick<NameStore, 'next' | 'setNext'>
  /** Tells peers of the record of a name again, and sets when next. */
  republish: (name: string, signal: AbortSignal) => Promise<void>
  hasRoutes: () => boolean
  log: Logger
  now: () => number
  /** Between two names; other than the usual one in tests. */
  pauseMs?: number
}

/** Tells the network of one name after the other as they fall due, while there is anybody to tell. */
export class Republisher {
  readonly #options: RepublisherOptions
  readonly #stop = new AbortController()
  #wake = new AbortController()
  #running: Promise<void> | undefined

  constructor(options: RepublisherOptions) {
    this.#options = options
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Something may be due earlier. */
  wake(): void {
    this.#wake.abort()
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the node stops'))
    this.#wake.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { store, republish, hasRoutes, log, now, pauseMs = REPUBLISH_PAUSE_MS } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted) {
      this.#wake = new AbortController()
      const next = store.next()
      const dueMs = next === undefined ? MAX_REPUBLISH_SLEEP_MS : next.nextMs - now()
      if (next === undefined || dueMs > 0 || !hasRoutes()) {
        // Without routes there is nobody to tell: who connects wakes us.
        const sleepMs = dueMs > 0 ? dueMs : MAX_REPUBLISH_SLEEP_MS
        await wait(Math.min(sleepMs, MAX_REPUBLISH_SLEEP_MS), this.#wake.signal)
      } else {
        try {
          await republish(next.name, signal)
        } catch (error) {
          if (signal.aborted) return
          log.warn({ name: next.name, error: String(error) }, 'a name could not be published again')
          store.setNext(next.name, now() + REPUBLISH_RETRY_MS)
        }
      }
      await wait(pauseMs, signal)
    }
  }
}
