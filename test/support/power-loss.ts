import { randomUUID } from 'node:crypto'
import { copyFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { type FileSystem, type GrowingFile, nodeFileSystem } from '../../src/storage/files/file-system.ts'

/** What would be on the disk after a power loss: file paths below the home folder, and their bytes. */
export interface Disk {
  files: Map<string, Uint8Array>
  folders: Set<string>
}

interface Content {
  /** What the disk holds of the file: nothing before it was flushed. */
  durable: Uint8Array
}

/**
 * A file system that remembers what was flushed. A file's bytes count once it was flushed, a name once its folder was
 * flushed after the name was made, and nothing in a folder counts whose own name does not. It is as forgetful as POSIX
 * allows: what was not flushed is gone, however long ago it was written.
 */
export class ForgetfulFileSystem implements FileSystem {
  readonly #home: string
  /** As the running program sees it: path to content. */
  readonly #names = new Map<string, Content>()
  readonly #folders = new Set<string>()
  /** As the disk has it. */
  readonly #durableNames = new Map<string, Content>()
  readonly #durableFolders = new Set<string>()
  /** What it pretends not to have been asked for; for tests of the test. */
  readonly #ignored: { fileFlush?: boolean; folderFlush?: boolean }

  constructor(home: string, ignored: { fileFlush?: boolean; folderFlush?: boolean } = {}) {
    this.#home = home
    this.#ignored = ignored
    this.#durableFolders.add(home)
  }

  async makeFolder(path: string): Promise<boolean> {
    const made = await nodeFileSystem.makeFolder(path)
    this.#folders.add(path)
    return made
  }

  async writeFile(path: string, bytes: Uint8Array, options: { sync: boolean }): Promise<void> {
    await nodeFileSystem.writeFile(path, bytes, { sync: false })
    const flushed = options.sync && this.#ignored.fileFlush !== true
    this.#names.set(path, { durable: flushed ? bytes.slice() : new Uint8Array(0) })
  }

  async createFile(path: string): Promise<GrowingFile> {
    const file = await nodeFileSystem.createFile(path)
    const content: Content = { durable: new Uint8Array(0) }
    const appended: Uint8Array[] = []
    this.#names.set(path, content)
    return {
      append: async (bytes) => {
        await file.append(bytes)
        appended.push(bytes.slice())
      },
      sync: async () => {
        if (this.#ignored.fileFlush !== true) content.durable = Buffer.concat(appended)
      },
      close: () => file.close(),
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await nodeFileSystem.rename(from, to)
    const content = this.#names.get(from)
    this.#names.delete(from)
    if (content !== undefined) this.#names.set(to, content)
  }

  async syncFolder(path: string): Promise<void> {
    // What is there when the flush begins is what it makes durable.
    const files = [...this.#names].filter(([name]) => dirname(name) === path)
    const folders = [...this.#folders].filter((folder) => dirname(folder) === path)
    await nodeFileSystem.syncFolder(path)
    if (this.#ignored.folderFlush === true) return
    for (const name of this.#durableNames.keys()) {
      if (dirname(name) === path && !this.#names.has(name)) this.#durableNames.delete(name)
    }
    for (const [name, content] of files) this.#durableNames.set(name, content)
    for (const folder of folders) this.#durableFolders.add(folder)
  }

  readFile(path: string, limitBytes: number): Promise<Uint8Array<ArrayBuffer>> {
    return nodeFileSystem.readFile(path, limitBytes)
  }

  readPart(path: string, offset: number, lengthBytes: number): Promise<Uint8Array<ArrayBuffer>> {
    return nodeFileSystem.readPart(path, offset, lengthBytes)
  }

  async remove(path: string): Promise<void> {
    await nodeFileSystem.remove(path)
    this.#names.delete(path)
  }

  list(path: string): AsyncIterable<string> {
    return nodeFileSystem.list(path)
  }

  sizeBytes(path: string): Promise<number> {
    return nodeFileSystem.sizeBytes(path)
  }

  /** The disk as it is this moment. */
  disk(): Disk {
    const inHome = (path: string): string => relative(this.#home, path)
    const reachable = (path: string): boolean =>
      path === this.#home || (this.#durableFolders.has(path) && reachable(dirname(path)))
    const files = [...this.#durableNames].filter(([path]) => reachable(dirname(path)))
    return {
      files: new Map(files.map(([path, { durable }]) => [inHome(path), durable])),
      folders: new Set([...this.#durableFolders].filter(reachable).map(inHome)),
    }
  }
}

/**
 * The home folder as a power loss at this moment leaves it, below `into`: files as `fs` says, the database and its log as
 * they are now. SQLite's own flushes are not simulated: taking the log with commits that nobody was told of yet is
 * the harsher case for the order of file and row.
 */
export async function afterPowerLoss(
  home: string,
  fs: ForgetfulFileSystem,
  into: string,
  databases: readonly string[] = ['blocks.db', 'blocks.db-wal'],
): Promise<string> {
  const target = join(into, randomUUID())
  const disk = fs.disk()
  // In the same turn of the event loop: nothing can be acknowledged between the two.
  const copies = databases.map((name) => {
    const copy = join(into, `${randomUUID()}.${name}`)
    copyFileSync(join(home, name), copy)
    return { copy, name }
  })
  await mkdir(target, { recursive: true })
  for (const folder of disk.folders) await mkdir(join(target, folder), { recursive: true })
  for (const [path, bytes] of disk.files) await writeFile(join(target, path), bytes)
  for (const { copy, name } of copies) copyFileSync(copy, join(target, name))
  return target
}
