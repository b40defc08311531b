import { join } from 'node:path'
import { systemCode } from '../errors.ts'
import { SharedRuns } from './coordination.ts'
import type { FileSystem } from './file-system.ts'
import { type BlocksLayout, fileName } from './layout.ts'
import type { Durability } from './schema.ts'

/** What a read of a block file can fail with when the file itself is at fault; anything else may be better next time. */
const FILE_AT_FAULT = new Set(['ENOENT', 'EIO', 'EISDIR', 'ENOTDIR', 'EUCLEAN'])

/** Rotten files kept for whoever wants to look at them; the oldest makes room. */
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
  readonly #quarantine = new Map<string, number>()
  #tmpCount = 0
  #leftBehind = false
  #quarantineBytes = 0

  constructor(fs: FileSystem, layout: BlocksLayout, durability: Durability) {
    this.#fs = fs
    this.#layout = layout
    this.#sync = durability === 'full'
    this.#folderSyncs = new SharedRuns((path) => fs.syncFolder(path))
  }

  /** A file without a row could not be removed: the next start has to sweep. */
  get leftBehind(): boolean {
    return this.#leftBehind
  }

  get quarantineBytes(): number {
    return this.#quarantineBytes
  }

  /** Makes the folders, removes what a crash left in tmp, counts the quarantine. */
  async open(): Promise<void> {
    const { rootPath, tmpPath, quarantinePath } = this.#layout
    for (const path of [rootPath, tmpPath, quarantinePath]) await this.#fs.makeFolder(path)
    for await (const name of this.#fs.list(tmpPath)) await this.#fs.remove(join(tmpPath, name))
    for await (const name of this.#fs.list(quarantinePath)) {
      this.#count(name, await this.#fs.sizeBytes(join(quarantinePath, name)))
    }
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

  async remove(mh: Uint8Array): Promise<void> {
    try {
      await this.#fs.remove(this.#layout.filePath(mh))
    } catch (error) {
      this.#leftBehind = true
      throw error
    }
  }

  /** Moves a block's file into quarantine, and makes room there. */
  async quarantineFile(mh: Uint8Array, sizeBytes: number): Promise<void> {
    const name = fileName(mh)
    try {
      await this.#fs.rename(this.#layout.filePath(mh), join(this.#layout.quarantinePath, name))
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return
      this.#leftBehind = true
      throw error
    }
    this.#count(name, sizeBytes)
    await this.#trimQuarantine()
  }

  /** Keeps the rotten bytes of a block that was in the database. */
  async quarantineBytesOf(mh: Uint8Array, bytes: Uint8Array): Promise<void> {
    const name = fileName(mh)
    const path = join(this.#layout.quarantinePath, name)
    await this.#fs.remove(path)
    await this.#fs.writeFile(path, bytes, { sync: false })
    this.#count(name, bytes.byteLength)
    await this.#trimQuarantine()
  }

  #count(name: string, sizeBytes: number): void {
    this.#quarantineBytes += sizeBytes - (this.#quarantine.get(name) ?? 0)
    this.#quarantine.delete(name)
    this.#quarantine.set(name, sizeBytes)
  }

  async #trimQuarantine(): Promise<void> {
    for (const [name, sizeBytes] of this.#quarantine) {
      if (
        this.#quarantine.size <= QUARANTINE_LIMIT.files &&
        this.#quarantineBytes <= QUARANTINE_LIMIT.bytes
      ) {
        return
      }
      this.#quarantine.delete(name)
      this.#quarantineBytes -= sizeBytes
      await this.#fs.remove(join(this.#layout.quarantinePath, name))
    }
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
