import { wait } from '../../jobs/async.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Health } from '../types.ts'
import { ByteRate } from '../restore/byte-rate.ts'
import {
  AUDIT_BYTES,
  BACKGROUND_BYTES_PER_SECOND,
  FIRST_ROUND_BYTES_PER_SECOND,
  FIRST_ROUND_AFTER_MS,
  LIVE_INTERVALS,
  MAX_PROOFS_PER_WRITE,
  RENEW_SHARE,
} from './limits.ts'
import type { HealthMeter } from './meter.ts'
import type { ProofStore } from './proofs.ts'

export interface AuditSchedulerOptions {
  meter: Pick<HealthMeter, 'ofLink'>
  proofs: ProofStore
  /** `vault.audit.interval`. */
  intervalMs: number
  /** What is to be audited: this owner's objects, by id and link, walked through once a round. */
  objects: () => Iterable<{ id: string; link: string }>
  /** What was measured of a link. Where nobody has the manifest nothing was, and what is known grows old. Must not throw. */
  onHealth: (link: string, health: Health) => void
  /** After each round: what else is looked at once an interval. */
  onRound?: (signal: AbortSignal) => Promise<unknown>
  log: Logger
}

/** Audits the owner's own objects as long as the node runs: a round an interval, one object after the other. */
export class AuditScheduler {
  readonly #options: AuditSchedulerOptions
  readonly #stop = new AbortController()
  readonly #rate = new ByteRate()
  /** Of all objects, at the last round. */
  #columns: number | undefined
  #running: Promise<void> | undefined

  constructor(options: AuditSchedulerOptions) {
    this.#options = options
  }

  start(): void {
    this.#running ??= this.#run().catch((error: unknown) => {
      this.#options.log.error({ error: String(error) }, 'objects are not audited any more')
    })
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the node stops'))
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    const { intervalMs } = this.#options
    await wait(Math.min(FIRST_ROUND_AFTER_MS, intervalMs), signal)
    while (!signal.aborted) {
      const startedMs = performance.now()
      await this.round(signal)
      const restMs = intervalMs - (performance.now() - startedMs)
      // A round that takes longer than the interval is followed by the next at once, yet never without a turn.
      await wait(Math.max(1, Math.min(restMs, 2 ** 31 - 1)), signal)
    }
  }

  /** One look at everything. */
  async round(signal: AbortSignal): Promise<void> {
    const { meter, intervalMs, objects, onHealth, proofs, log } = this.#options
    const options = {
      signal,
      maxAgeMs: RENEW_SHARE * intervalMs,
      rate: this.#rate,
      bytesPerSecond: this.#bytesPerSecond(),
    }
    let columns = 0
    for (const { id, link } of objects()) {
      if (signal.aborted) return
      try {
        const health = await meter.ofLink(link, options)
        for (const { n } of health.slabs) columns += n
        onHealth(link, health)
      } catch (error) {
        if (signal.aborted) return
        log.debug({ object: id, error: String(error) }, 'an object could not be measured')
      }
    }
    this.#columns = columns
    await this.#options.onRound?.(signal).catch((error: unknown) => {
      if (!signal.aborted) log.debug({ error: String(error) }, 'receipts could not be checked')
    })
    const beforeMs = Date.now() - 2 * LIVE_INTERVALS * intervalMs
    while (!signal.aborted && proofs.forget(beforeMs, MAX_PROOFS_PER_WRITE) === MAX_PROOFS_PER_WRITE) {
      await wait(1, signal)
    }
  }

  #bytesPerSecond(): number {
    if (this.#columns === undefined) return FIRST_ROUND_BYTES_PER_SECOND
    const neededBytesPerSecond = (2 * this.#columns * AUDIT_BYTES) / (this.#options.intervalMs / 1_000)
    return Math.max(BACKGROUND_BYTES_PER_SECOND, neededBytesPerSecond)
  }
}
