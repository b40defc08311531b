import { constants, promises as fs } from 'node:fs'
import { systemCode } from '../errors.ts'

/** A new file that is written from its start to its end. */
export interface GrowingFile {
  /** One call at a time; the bytes must not change until it resolves. */
  append(bytes: Uint8Array): Promise<void>
  /** Once this resolves, what was appended survives a power loss. */
  sync(): Promise<void>
  close(): Promise<void>
}

/**
 * Everything the stores of blocks and columns ask of the file system. Whatever must survive a power loss goes through it, so that a test
 * can put a shim in its place that forgets all that was not flushed.
 */
export interface FileSystem {
  /** Makes the folder and those above it where they are missing. True where it made one. */
  makeFolder(path: string): Promise<boolean>
  /** Makes a file that must not exist; with `sync` its bytes survive a power loss once this resolves. */
  writeFile(path: string, bytes: Uint8Array, options: { sync: boolean }): Promise<void>
  /** Makes a file that must not exist, for bytes that come piece by piece. */
  createFile(path: string): Promise<GrowingFile>
  /** Replaces what is at `to`. */
  rename(from: string, to: string): Promise<void>
  /** Once this resolves, the names in the folder survive a power loss as they were when it was called. */
  syncFolder(path: string): Promise<void>
  /** At most `limitBytes` from the file's start, in memory of its own. */
  readFile(path: string, limitBytes: number): Promise<Uint8Array<ArrayBuffer>>
  /** At most `lengthBytes` from `offset` on, fewer where the file ends before, in memory of their own. */
  readPart(path: string, offset: number, lengthBytes: number): Promise<Uint8Array<ArrayBuffer>>
  /** It is no error when nothing is there. */
  remove(path: string): Promise<void>
  /** Names of the files in a folder, read in steps; nothing where the folder is missing. */
  list(path: string): AsyncIterable<string>
  sizeBytes(path: string): Promise<number>
}

/** What a read of a file can fail with when the file itself is at fault; anything else may be better next time. */
export const FILE_AT_FAULT = new Set(['ENOENT', 'EIO', 'EISDIR', 'ENOTDIR', 'EUCLEAN'])

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
      await writeAll(file, bytes)
      // All of a new file's metadata that a reader needs is its size, which fdatasync flushes too.
      if (sync) await file.datasync()
    } finally {
      await file.close()
    }
  },

  async createFile(path) {
    const file = await fs.open(path, WRITE_NEW, 0o644)
    return {
      append: (bytes) => writeAll(file, bytes),
      sync: () => file.datasync(),
      close: () => file.close(),
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

  readFile: (path, limitBytes) => readPart(path, 0, limitBytes),

  readPart,

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

async function writeAll(file: fs.FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.byteLength; ) {
    written += (await file.write(bytes, written)).bytesWritten
  }
}

async function readPart(path: string, offset: number, lengthBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const file = await fs.open(path, constants.O_RDONLY)
  try {
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(lengthBytes).buffer)
    let length = 0
    while (length < lengthBytes) {
      const { bytesRead } = await file.read(bytes, length, lengthBytes - length, offset + length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return length === lengthBytes ? bytes : bytes.slice(0, length)
  } finally {
    await file.close()
  }
}
