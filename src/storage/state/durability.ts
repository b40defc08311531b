import { type FileHandle, open } from 'node:fs/promises'

/**
 * Flushes a database's write-ahead log off the event loop.
 *
 * With `synchronous = NORMAL` a commit appends to the log and does not wait for the disk; flushing the log afterwards
 * gives exactly what `synchronous = FULL` gives, only in the thread pool in place of the event loop. A checkpoint that
 * comes in between does no harm: SQLite flushes the log before it copies from it, and the database after.
 *
 * One flush runs at a time. Whoever asks while it runs shares the next one: its commit may have come after the running
 * flush began.
 */
export class LogFlusher {
  readonly #file: FileHandle
  /** The flush that runs, or ran last; never rejects. */
  #last: Promise<void> = Promise.resolve()
  /** The flush that has not begun yet. */
  #next: Promise<void> | undefined

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** SQLite takes no lock on the log itself, so a second descriptor of it is harmless (that of the database is not). */
  static async open(databasePath: string): Promise<LogFlusher> {
    return new LogFlusher(await open(`${databasePath}-wal`, 'r+'))
  }

  /** Resolves once everything that was committed before the call survives power loss. */
  flush(): Promise<void> {
    this.#next ??= this.#last.then(() => {
      this.#next = undefined
      const flushed = this.#file.datasync()
      this.#last = flushed.catch(() => {})
      return flushed
    })
    return this.#next
  }

  async close(): Promise<void> {
    await this.#next?.catch(() => {})
    await this.#last
    await this.#file.close()
  }
}
