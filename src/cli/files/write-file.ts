import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { diskError } from './target.ts'

/** Chunks are gathered to this size before a write: a download arrives in pieces of 16 to 64 KiB. */
const WRITE_BYTES = 1024 * 1024

/** Writes one file from a stream that may break off and continue, and hashes it on the way. */
export class FileWriter {
  readonly #path: string
  readonly #hash: Hash = createHash('sha256')
  readonly #handle: FileHandle
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  #writtenBytes = 0
  #writing: Promise<void> = Promise.resolve()

  private constructor(path: string, handle: FileHandle) {
    this.#path = path
    this.#handle = handle
  }

  /** Creates the file; refuses to follow or replace anything that is there. */
  static async create(path: string): Promise<FileWriter> {
    try {
      return new FileWriter(path, await open(path, 'wx', 0o644))
    } catch (error) {
      throw diskError(error, path)
    }
  }

  /** Bytes taken so far: where a broken download continues. */
  get sizeBytes(): number {
    return this.#writtenBytes + this.#gatheredBytes
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk)
    this.#gathered.push(chunk)
    this.#gatheredBytes += chunk.length
    if (this.#gatheredBytes >= WRITE_BYTES) await this.#flush()
  }

  /** Starts the next write once the one before has ended, so that one is always under way while more arrives. */
  async #flush(): Promise<void> {
    const parts = this.#gathered
    const at = this.#writtenBytes
    this.#gathered = []
    this.#writtenBytes += this.#gatheredBytes
    this.#gatheredBytes = 0
    await this.#writing
    this.#writing = this.#handle.writev(parts, at).then(
      () => {},
      (error: unknown) => {
        throw diskError(error, this.#path)
      },
    )
    this.#writing.catch(() => {})
  }

  /** Writes the rest and closes. @returns the SHA-256 of the whole, in hexadecimal, and its size in bytes. */
  async end(): Promise<{ sha256: string; sizeBytes: number }> {
    if (this.#gatheredBytes > 0) await this.#flush()
    await this.#writing
    await this.#handle.close()
    return { sha256: this.#hash.digest('hex'), sizeBytes: this.#writtenBytes }
  }

  async abandon(): Promise<void> {
    await this.#writing.catch(() => {})
    await this.#handle.close().catch(() => {})
  }
}
