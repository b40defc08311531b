import { join } from 'node:path'
import { systemCode } from '../errors.ts'
import type { FileSystem } from './file-system.ts'

/** Rotten files kept for whoever wants to look at them; the oldest makes room. */
export class Quarantine {
  readonly #fs: FileSystem
  readonly #path: string
  readonly #limit: { files: number; bytes: number }
  /** By name, the oldest first. */
  readonly #files = new Map<string, number>()
  #bytes = 0

  constructor(fs: FileSystem, path: string, limit: { files: number; bytes: number }) {
    this.#fs = fs
    this.#path = path
    this.#limit = limit
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Makes the folder, counts what is in it, and removes what is over the limit, which may have been another. */
  async open(): Promise<void> {
    await this.#fs.makeFolder(this.#path)
    for await (const name of this.#fs.list(this.#path)) {
      this.#count(name, await this.#fs.sizeBytes(join(this.#path, name)))
    }
    await this.#trim()
  }

  /** Moves a file in; it is no error when it is not there. */
  async take(path: string, name: string, sizeBytes: number): Promise<void> {
    try {
      await this.#fs.rename(path, join(this.#path, name))
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return
      throw error
    }
    this.#count(name, sizeBytes)
    await this.#trim()
  }

  /** Keeps bytes that were in no file. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    const path = join(this.#path, name)
    await this.#fs.remove(path)
    await this.#fs.writeFile(path, bytes, { sync: false })
    this.#count(name, bytes.byteLength)
    await this.#trim()
  }

  #count(name: string, sizeBytes: number): void {
    this.#bytes += sizeBytes - (this.#files.get(name) ?? 0)
    this.#files.delete(name)
    this.#files.set(name, sizeBytes)
  }

  async #trim(): Promise<void> {
    for (const [name, sizeBytes] of this.#files) {
      if (this.#files.size <= this.#limit.files && this.#bytes <= this.#limit.bytes) return
      this.#files.delete(name)
      this.#bytes -= sizeBytes
      await this.#fs.remove(join(this.#path, name))
    }
  }
}
