import { join } from 'node:path'
import type { SlabId } from '../../../protocols/chunk/types.ts'
import { SharedRuns } from '../files/coordination.ts'
import { FILE_AT_FAULT, type FileSystem, type GrowingFile } from '../files/file-system.ts'
import { fileName } from '../files/names.ts'
import { Quarantine } from '../files/quarantine.ts'
import type { Durability } from '../blocks/schema.ts'
import { systemCode } from '../errors.ts'
import type { ColumnsLayout } from './layout.ts'
import { QUARANTINE_LIMIT, QUARANTINE_SHARE } from './limits.ts'

/** A file in tmp that grows into a column. */
export interface TemporaryFile {
  path: string
  file: GrowingFile
}

/** The files below HOME/columns. Callers hold the slab's lock around everything that changes its file. */
export class ColumnFiles {
  /** False in relaxed durability: nothing is flushed. */
  readonly sync: boolean
  readonly #fs: FileSystem
  readonly #layout: ColumnsLayout
  readonly #folderSyncs: SharedRuns
  /** Folders that exist and whose own name in HOME/columns is durable. At most 1 024. */
  readonly #folders = new Map<string, Promise<void>>()
  readonly #quarantine: Quarantine
  #tmpCount = 0
  #leftBehind = false

  constructor(
    fs: FileSystem,
    layout: ColumnsLayout,
    { durability, offerBytes }: { durability: Durability; offerBytes: number },
  ) {
    this.#fs = fs
    this.#layout = layout
    this.sync = durability === 'full'
    this.#folderSyncs = new SharedRuns((path) => fs.syncFolder(path))
    const { files, bytes } = QUARANTINE_LIMIT
    this.#quarantine = new Quarantine(fs, layout.quarantinePath, {
      files,
      bytes: Math.min(bytes, Math.floor(offerBytes * QUARANTINE_SHARE)),
    })
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
    if (!this.sync) return
    // Names that a run made and was cut short before it flushed them.
    await this.#fs.syncFolder(rootPath)
    await this.#fs.syncFolder(join(rootPath, '..'))
  }

  async create(): Promise<TemporaryFile> {
    const path = join(this.#layout.tmpPath, String(this.#tmpCount++))
    return { path, file: await this.#fs.createFile(path) }
  }

  /** Gives a finished file the slab's name; in full durability the name survives a power loss once this resolves. */
  async place(tmpPath: string, slab: SlabId): Promise<void> {
    const folderPath = this.#layout.folderPath(slab)
    await this.#ensureFolder(folderPath)
    await this.#fs.rename(tmpPath, this.#layout.filePath(slab))
    if (this.sync) await this.#folderSyncs.request(folderPath)
  }

  removeTemporary(path: string): Promise<void> {
    return this.#fs.remove(path)
  }

  /** Fewer bytes where the file is shorter; undefined where it is missing or unreadable. */
  async read(slab: SlabId, offset: number, lengthBytes: number): Promise<Uint8Array | undefined> {
    return this.#unlessAtFault(() => this.#fs.readPart(this.#layout.filePath(slab), offset, lengthBytes))
  }

  /** The file's length; undefined where it is missing or unreadable. */
  async sizeBytes(slab: SlabId): Promise<number | undefined> {
    return this.#unlessAtFault(() => this.#fs.sizeBytes(this.#layout.filePath(slab)))
  }

  async remove(slab: SlabId): Promise<void> {
    try {
      await this.#fs.remove(this.#layout.filePath(slab))
    } catch (error) {
      this.#leftBehind = true
      throw error
    }
  }

  async quarantine(slab: SlabId): Promise<void> {
    try {
      const sizeBytes = await this.sizeBytes(slab)
      if (sizeBytes === undefined) return
      await this.#quarantine.take(this.#layout.filePath(slab), fileName(slab), sizeBytes)
    } catch (error) {
      this.#leftBehind = true
      throw error
    }
  }

  async #unlessAtFault<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      if (FILE_AT_FAULT.has(systemCode(error))) return undefined
      throw error
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
    if (made && this.sync) await this.#folderSyncs.request(this.#layout.rootPath)
  }
}
