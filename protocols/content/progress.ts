import { PROGRESS_INTERVAL_MS } from './limits.ts'
import type { FetchDagOptions, FetchStatistics } from './types.ts'

/** Tells how far a fetch is, now and then. */
export class Progress {
  readonly #statistics: FetchStatistics
  readonly #onProgress: FetchDagOptions['onProgress']
  #knownBytes = 0
  #lastMs = 0

  constructor(statistics: FetchStatistics, onProgress: FetchDagOptions['onProgress']) {
    this.#statistics = statistics
    this.#onProgress = onProgress
  }

  /** What the first node that knows says of the whole. */
  /** What there is in all; undefined as long as nothing has told. */
  get totalBytes(): number | undefined {
    return this.#knownBytes || undefined
  }

  expect(totalBytes: number | undefined): void {
    if (totalBytes !== undefined && this.#knownBytes === 0) this.#knownBytes = totalBytes
  }

  report(isLast: boolean): void {
    const now = performance.now()
    if (this.#onProgress === undefined || (!isLast && now - this.#lastMs < PROGRESS_INTERVAL_MS)) return
    this.#lastMs = now
    const knownBytes = Math.max(this.#knownBytes, this.#statistics.bytes)
    this.#onProgress({ ...this.#statistics, knownBytes })
  }
}
