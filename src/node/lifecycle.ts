import type { Logger } from '../telemetry/types.ts'

/** One part of the node as the composition root starts and stops it. */
interface Step {
  name: string
  stop: () => Promise<void> | void
  /** How long its stop may take before the next one goes on without it. */
  stopTimeoutMs: number
}

/** What most parts need at the most to write what they hold and close. */
const DEFAULT_STOP_TIMEOUT_MS = 3_000

/**
 * What was started, in order, so that it is stopped in the reverse order, each part bounded in time: one that hangs must
 * not keep the others from closing their files. Also after a start that failed half way.
 */
export class Lifecycle {
  readonly #log: Logger
  readonly #steps: Step[] = []

  constructor(log: Logger) {
    this.#log = log
  }

  /** Remembers how to stop what was just started. */
  started(name: string, stop: Step['stop'], stopTimeoutMs = DEFAULT_STOP_TIMEOUT_MS): void {
    this.#steps.push({ name, stop, stopTimeoutMs })
  }

  /** Stops everything, newest first. Never throws: what went wrong is logged, and the rest is stopped all the same. */
  async stop(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      const { name, stop, stopTimeoutMs } = step
      const startedAtMs = performance.now()
      let timer: NodeJS.Timeout | undefined
      const timeout = new Promise<'timeout'>((resolve) => {
        timer = setTimeout(() => resolve('timeout'), stopTimeoutMs)
      })
      try {
        const ended = await Promise.race([Promise.resolve(stop()).then(() => 'stopped' as const), timeout])
        const tookMs = Math.round(performance.now() - startedAtMs)
        if (ended === 'timeout')
          this.#log.warn({ step: name, tookMs }, 'did not stop in time; going on without it')
        else this.#log.debug({ step: name, tookMs }, 'stopped')
      } catch (error) {
        this.#log.error({ step: name, err: error }, 'failed to stop')
      } finally {
        clearTimeout(timer)
      }
    }
  }
}
