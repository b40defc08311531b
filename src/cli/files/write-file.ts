import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { diskError } from './target.ts'

/** Chunks are gathered to this size before a write: a download arrives in pieces of 16 to 64 KiB. */
const WRITE_BYTES = 1024 * 1024

const DEFAULT_MODE = 0o644

export interface FileWriterOptions {
  /** Permissions from the first byte on, less the umask. */
  mode?: number
  /** False where nobody asks for the SHA-256. */
  hash?: boolean
}

/** Writes one file from a stream that may break off and continue, and hashes it on the way. */
export class FileWriter {
  readonly #path: string
  readonly #hash: Hash | undefined
  readonly #handle: FileHandle
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  #writtenBytes = 0
  #writing: Promise<void> = Promise.resolve()

  private constructor(path: string, handle: FileHandle, hash: boolean) {
    this.#path = path
    this.#handle = handle
    this.#hash = hash ? createHash('sha256') : undefined
  }

  /** Creates the file; refuses to follow or replace anything that is there. @throws ERR_TARGET_* */
  static async create(path: string, options: FileWriterOptions = {}): Promise<FileWriter> {
    try {
      const handle = await open(path, 'wx', options.mode ?? DEFAULT_MODE)
      return new FileWriter(path, handle, options.hash !== false)
    } catch (error) {
      throw diskError(error, path)
    }
  }

  /** Bytes taken so far: where a broken download continues. */
  get sizeBytes(): number {
    return this.#writtenBytes + this.#gatheredBytes
  }

  /** @throws ERR_TARGET_FULL and other failures of the disk, of this chunk or one before */
  async write(chunk: Uint8Array): Promise<void> {
    this.#hash?.update(chunk)
    this.#gathered.push(chunk)
    this.#gatheredBytes += chunk.length
    if (this.#gatheredBytes >= WRITE_BYTES) await this.#flush()
  }

  /** Starts the next write once the one before has ended, so that one is always under way while more arrives. */
  async #flush(): Promise<void> {
    const parts = this.#gathered
    const sizeBytes = this.#gatheredBytes
    const at = this.#writtenBytes
    this.#gathered = []
    this.#writtenBytes += sizeBytes
    this.#gatheredBytes = 0
    await this.#writing
    this.#writing = this.#writeAt(parts, sizeBytes, at)
    this.#writing.catch(() => {})
  }

  async #writeAt(parts: Uint8Array[], sizeBytes: number, at: number): Promise<void> {
    try {
      let { bytesWritten } = await this.#handle.writev(parts, at)
      if (bytesWritten === sizeBytes) return
      // A disk that is nearly full takes a part without complaint; only the next write says why.
      const whole = Buffer.concat(parts)
      while (bytesWritten < sizeBytes) {
        const rest = whole.subarray(bytesWritten)
        bytesWritten += (await this.#handle.write(rest, 0, rest.length, at + bytesWritten)).bytesWritten
      }
    } catch (error) {
      throw diskError(error, this.#path)
    }
  }

  /**
   * Writes the rest and closes.
   *
   * @returns the SHA-256 of the whole, in hexadecimal (empty where it was not asked for), and its size in bytes
   */
  async end(options: { mode?: number; sync?: boolean } = {}): Promise<{ sha256: string; sizeBytes: number }> {
    if (this.#gatheredBytes > 0) await this.#flush()
    await this.#writing
    if (options.mode !== undefined) await this.#handle.chmod(options.mode)
    if (options.sync === true) await this.#handle.sync()
    await this.#handle.close()
    return { sha256: this.#hash?.digest('hex') ?? '', sizeBytes: this.#writtenBytes }
  }

  /** Closes without the rest; what was written stays for its owner to remove. Does no harm after `end`. */
  async abandon(): Promise<void> {
    await this.#writing.catch(() => {})
    await this.#handle.close().catch(() => {})
  }
}
