import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { ColumnRow, Columns } from '../../storage/columns/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Counters } from './counters.ts'
import { EXPIRY_BATCH, EXPIRY_DELAY_MS, EXPIRY_DELAY_SHARE } from './limits.ts'

export interface ExpiryOptions {
  columns: Pick<Columns, 'expired' | 'remove' | 'forgetTombstones'>
  counters: Counters
  intervalMs: number
  nowMs: () => number
  /** How long this node has been awake with a clock that nobody set. */
  awakeMs: () => number
  log: Logger
  onRemoved: (row: ColumnRow) => void
}

/** How long after its lease a column is kept on: a day, and less where the whole lease was short. */
export function expiryDelayMs({ untilMs, storedAtMs }: Pick<ColumnRow, 'untilMs' | 'storedAtMs'>): number {
  return Math.min(EXPIRY_DELAY_MS, Math.max(0, untilMs - storedAtMs) * EXPIRY_DELAY_SHARE)
}

/**
 * Whether a column may be removed because its lease has ended: some time after that, and only once this node has been awake
 * for as long with a clock that nobody set, so that a clock that is wrong costs nothing until it is put right.
 */
export function mayExpire(
  row: Pick<ColumnRow, 'untilMs' | 'storedAtMs'>,
  { nowMs, awakeMs }: { nowMs: number; awakeMs: number },
): boolean {
  const delayMs = expiryDelayMs(row)
  return nowMs >= row.untilMs + delayMs && awakeMs >= delayMs
}

/**
 * Removes columns some time after their lease has ended, and tombstones that no lease can outlive. Only after this node
 * has been awake for as long, so that a clock that is wrong after a start, or was set, is put right first.
 */
export class Expiry {
  readonly #options: ExpiryOptions
  readonly #stop = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  #isBusy = false

  constructor(options: ExpiryOptions) {
    this.#options = options
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#tick(), this.#options.intervalMs).unref()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    clearInterval(this.#timer)
    await this.#running
  }

  /** One look at what has expired. */
  async look(): Promise<number> {
    const { columns, counters, nowMs, awakeMs, log, onRemoved } = this.#options
    const now = nowMs()
    let removed = 0
    for (const row of columns.expired(now, EXPIRY_BATCH)) {
      if (this.#stop.signal.aborted) break
      // Asked twice: the row may have been renewed while others were removed.
      const mayGo = (current: ColumnRow) => mayExpire(current, { nowMs: now, awakeMs: awakeMs() })
      if (!mayGo(row) || !(await columns.remove(row.slab, mayGo))) continue
      counters.columnsExpired += 1
      removed += 1
      log.info({ slab: slabKeyOf(row.slab), column: row.column }, 'a column whose lease ended was removed')
      onRemoved(row)
    }
    if (awakeMs() >= EXPIRY_DELAY_MS) await columns.forgetTombstones(now)
    return removed
  }

  #tick(): void {
    if (this.#isBusy) return
    this.#isBusy = true
    this.#running = this.look()
      .then(() => undefined)
      .catch((error: unknown) => {
        this.#options.log.warn({ err: error }, 'expired columns could not be removed')
      })
      .finally(() => {
        this.#isBusy = false
      })
  }
}
