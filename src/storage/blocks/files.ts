import { join } from 'node:path'
import { systemCode } from '../errors.ts'
import { SharedRuns } from '../files/coordination.ts'
import { FILE_AT_FAULT, type FileSystem } from '../files/file-system.ts'
import { type BlocksLayout } from './layout.ts'
import { fileName } from '../files/names.ts'
import { Quarantine } from '../files/quarantine.ts'
import type { Durability } from './schema.ts'

/** Of rotten blocks. */
const QUARANTINE_LIMIT = { files: 64, bytes: 64 * 1024 * 1024 }

/**
 * The block files below HOME/blocks. Callers hold the lock of a block's key around everything that changes its file.
 */
export class BlockFiles {
  readonly #fs: FileSystem
  readonly #layout: BlocksLayout
  readonly #sync: boolean
  readonly #folderSyncs: SharedRuns
  /** Folders that exist and whose own name in HOME/blocks is durable. At most 1 024. */
  readonly #folders = new Map<string, Promise<void>>()
  readonly #quarantine: Quarantine
  #tmpCount = 0
  #leftBehind = false

  constructor(fs: FileSystem, layout: BlocksLayout, durability: Durability) {
    this.#fs = fs
    this.#layout = layout
    this.#sync = durability === 'full'
    this.#folderSyncs = new SharedRuns((path) => fs.syncFolder(path))
    this.#quarantine = new Quarantine(fs, layout.quarantinePath, QUARANTINE_LIMIT)
  }

  /** A file without a row could not be removed: the next start has to sweep. */
  get leftBehind(): boolean {
    return this.#leftBehind
  }

  get quarantineBytes(): number {
    return this.#quarantine.bytes
  }

  /** Makes the folders, removes what a crash left in tmp, counts the quarantine. */
  async open(): Promise<void> {
    const { rootPath, tmpPath } = this.#layout
    for (const path of [rootPath, tmpPath]) await this.#fs.makeFolder(path)
    for await (const name of this.#fs.list(tmpPath)) await this.#fs.remove(join(tmpPath, name))
    await this.#quarantine.open()
    if (!this.#sync) return
    // Names that a run made and was cut short before it flushed them.
    await this.#fs.syncFolder(rootPath)
    await this.#fs.syncFolder(join(rootPath, '..'))
  }

  /**
   * Writes a block's file; in full durability it survives a power loss once this resolves. Where it fails, nothing of
   * it stays under a temporary name; the caller removes the final one.
   */
  async write(mh: Uint8Array, bytes: Uint8Array): Promise<void> {
    const tmpPath = join(this.#layout.tmpPath, String(this.#tmpCount++))
    const folderPath = this.#layout.folderPath(mh)
    try {
      await this.#fs.writeFile(tmpPath, bytes, { sync: this.#sync })
      await this.#ensureFolder(folderPath)
      await this.#fs.rename(tmpPath, this.#layout.filePath(mh))
    } catch (error) {
      await this.#fs.remove(tmpPath).catch(() => {})
      throw error
    }
    if (this.#sync) await this.#folderSyncs.request(folderPath)
  }

  /** The file's bytes, at most `sizeBytes`; undefined where the file is missing or unreadable. */
  async read(mh: Uint8Array, sizeBytes: number): Promise<Uint8Array | undefined> {
    try {
      return await this.#fs.readFile(this.#layout.filePath(mh), sizeBytes)
    } catch (error) {
      if (FILE_AT_FAULT.has(systemCode(error))) return undefined
      throw error
    }
  }

  /** Whether the block's file is there with all of its bytes, as far as its length tells. */
  async isComplete(mh: Uint8Array, sizeBytes: number): Promise<boolean> {
    try {
      return (await this.#fs.sizeBytes(this.#layout.filePath(mh))) === sizeBytes
    } catch (error) {
      if (FILE_AT_FAULT.has(systemCode(error))) return false
      throw error
    }
  }

  async remove(mh: Uint8Array): Promise<void> {
    try {
      await this.#fs.remove(this.#layout.filePath(mh))
    } catch (error) {
      this.#leftBehind = true
      throw error
    }
  }

  /** A file that ought to go stays: the store is not clean. */
  leaveBehind(): void {
    this.#leftBehind = true
  }

  /** Moves a block's file into quarantine, and makes room there. */
  async quarantineFile(mh: Uint8Array, sizeBytes: number): Promise<void> {
    try {
      await this.#quarantine.take(this.#layout.filePath(mh), fileName(mh), sizeBytes)
    } catch (error) {
      this.#leftBehind = true
      throw error
    }
  }

  /** Keeps the rotten bytes of a block that was in the database. */
  quarantineBytesOf(mh: Uint8Array, bytes: Uint8Array): Promise<void> {
    return this.#quarantine.write(fileName(mh), bytes)
  }

  #ensureFolder(path: string): Promise<void> {
    let ready = this.#folders.get(path)
    if (ready === undefined) {
      ready = this.#makeFolder(path)
      this.#folders.set(path, ready)
      ready.catch(() => this.#folders.delete(path))
    }
    return ready
  }

  async #makeFolder(path: string): Promise<void> {
    const made = await this.#fs.makeFolder(path)
    if (made && this.#sync) await this.#folderSyncs.request(this.#layout.rootPath)
  }
}
