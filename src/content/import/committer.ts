import type { JobSource } from '../../jobs/types.ts'

/** When to commit; whichever comes first. A crash costs at most this much to be sent again. */
export interface CommitInterval {
  everyBytes: number
  everyMs: number
}

export const COMMIT_INTERVAL: CommitInterval = { everyBytes: 64 * 1024 * 1024, everyMs: 1000 }

/**
 * Commits how far an import has come, in the background, so that reading goes on while the disk settles: first
 * everything that the checkpoint speaks of becomes durable (`settle`), then the offset and the checkpoint are committed.
 */
export class Committer {
  readonly #source: JobSource
  readonly #settle: () => Promise<void>
  readonly #interval: CommitInterval
  #pending: Promise<void> | undefined
  #failure: { error: unknown } | undefined
  #lastOffset: number
  #lastMs = performance.now()

  constructor(source: JobSource, interval: CommitInterval, settle: () => Promise<void>) {
    this.#source = source
    this.#interval = interval
    this.#settle = settle
    this.#lastOffset = source.offset
  }

  /** Whether the caller should take a checkpoint at `offset` and `start` its commit. */
  isDue(offset: number): boolean {
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#pending !== undefined || offset === this.#lastOffset) return false
    const { everyBytes, everyMs } = this.#interval
    return offset - this.#lastOffset >= everyBytes || performance.now() - this.#lastMs >= everyMs
  }

  /** `checkpoint` must not change any more. */
  start(offset: number, checkpoint: unknown): void {
    this.#lastOffset = offset
    this.#lastMs = performance.now()
    this.#pending = this.#commit(offset, checkpoint)
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .finally(() => {
        this.#pending = undefined
      })
  }

  /** Commits now and waits for it. */
  async finish(offset: number, checkpoint: unknown): Promise<void> {
    await this.settled()
    await this.#commit(offset, checkpoint)
  }

  /** Waits for the commit under way; rejects if any failed. */
  async settled(): Promise<void> {
    await this.#pending
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #commit(offset: number, checkpoint: unknown): Promise<void> {
    await this.#settle()
    await this.#source.commit(offset, checkpoint)
  }
}
