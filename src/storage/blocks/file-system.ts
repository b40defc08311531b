import { constants, promises as fs } from 'node:fs'
import { systemCode } from '../errors.ts'

/**
 * Everything the block store asks of the file system. Whatever must survive a power loss goes through it, so that a test
 * can put a shim in its place that forgets all that was not flushed.
 */
export interface FileSystem {
  /** Makes the folder and those above it where they are missing. True where it made one. */
  makeFolder(path: string): Promise<boolean>
  /** Makes a file that must not exist; with `sync` its bytes survive a power loss once this resolves. */
  writeFile(path: string, bytes: Uint8Array, options: { sync: boolean }): Promise<void>
  /** Replaces what is at `to`. */
  rename(from: string, to: string): Promise<void>
  /** Once this resolves, the names in the folder survive a power loss as they were when it was called. */
  syncFolder(path: string): Promise<void>
  /** At most `limitBytes` from the file's start, in memory of its own. */
  readFile(path: string, limitBytes: number): Promise<Uint8Array<ArrayBuffer>>
  /** It is no error when nothing is there. */
  remove(path: string): Promise<void>
  /** Names of the files in a folder, read in steps; nothing where the folder is missing. */
  list(path: string): AsyncIterable<string>
  sizeBytes(path: string): Promise<number>
}

/** Entries that `list` asks the operating system for at a time. */
const LIST_STEP = 64

const WRITE_NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL

/** Codes with which Windows and some network file systems refuse to flush a folder; they order names by themselves. */
const FOLDER_FLUSH_UNKNOWN = new Set(['EPERM', 'EISDIR', 'EINVAL', 'EBADF', 'ENOTSUP'])

/** The real one: libuv's thread pool does the work. */
export const nodeFileSystem: FileSystem = {
  async makeFolder(path) {
    return (await fs.mkdir(path, { recursive: true })) !== undefined
  },

  async writeFile(path, bytes, { sync }) {
    const file = await fs.open(path, WRITE_NEW, 0o644)
    try {
      for (let written = 0; written < bytes.byteLength; ) {
        written += (await file.write(bytes, written)).bytesWritten
      }
      // All of a new file's metadata that a reader needs is its size, which fdatasync flushes too.
      if (sync) await file.datasync()
    } finally {
      await file.close()
    }
  },

  rename: (from, to) => fs.rename(from, to),

  async syncFolder(path) {
    try {
      const folder = await fs.open(path, constants.O_RDONLY)
      try {
        await folder.sync()
      } finally {
        await folder.close()
      }
    } catch (error) {
      if (process.platform !== 'win32' || !FOLDER_FLUSH_UNKNOWN.has(systemCode(error))) throw error
    }
  },

  async readFile(path, limitBytes) {
    const file = await fs.open(path, constants.O_RDONLY)
    try {
      const bytes = new Uint8Array(Buffer.allocUnsafeSlow(limitBytes).buffer)
      let length = 0
      while (length < limitBytes) {
        const { bytesRead } = await file.read(bytes, length, limitBytes - length, length)
        if (bytesRead === 0) break
        length += bytesRead
      }
      return length === limitBytes ? bytes : bytes.slice(0, length)
    } finally {
      await file.close()
    }
  },

  remove: (path) => fs.rm(path, { force: true }),

  async *list(path) {
    let folder: Awaited<ReturnType<typeof fs.opendir>>
    try {
      folder = await fs.opendir(path, { bufferSize: LIST_STEP })
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return
      throw error
    }
    for await (const entry of folder) {
      if (entry.isFile()) yield entry.name
    }
  },

  sizeBytes: async (path) => (await fs.stat(path)).size,
}
