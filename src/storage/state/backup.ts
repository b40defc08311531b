import { createHash } from 'node:crypto'
import { createReadStream, type Dir } from 'node:fs'
import { type FileHandle, mkdtemp, open, opendir, readdir, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import Database from 'better-sqlite3'
import { pack as createPack, type Pack } from 'tar-stream'
import { blocksLayout } from '../blocks/layout.ts'
import { PLACE_FILE } from '../blocks/schema.ts'
import { cancelled, fromSystemError } from '../errors.ts'
import type { Lease, Storage } from '../types.ts'
import {
  BACKUP_FORMAT,
  BACKUP_VERSION,
  BLOCKS_FILE,
  isAllowedPath,
  MANIFEST_NAME,
  MANIFESTS_FOLDER,
  MAX_PLAIN_FILE_BYTES,
  manifestLine,
  PLAIN_FILES,
  STATE_FILE,
} from './backup-format.ts'
import { runStateTask } from './state-task.ts'
import type { StateDatabase } from './types.ts'

/** Copies of the databases wait here, on the same disk, while they are sent. */
const TEMPORARY_PREFIX = '.backup-'
/** Bytes read from a file at once. */
const READ_BYTES = 256 * 1024
/** Rows of blocks.db that one question reads, whether or not they stand for files: a few milliseconds. */
const INDEX_PAGE_ROWS = 2_000
const FILE_MODE = 0o600

export interface BackupOptions {
  home: string
  state: StateDatabase
  /** Keeps the collector away from the blocks of the backup; without it no collector may run meanwhile. */
  storage?: Pick<Storage, 'blocks'>
  /** Gets the tar stream and is ended; destroyed if the backup fails, so that half of it does not look whole. */
  out: Writable
  signal: AbortSignal
  /** False leaves out blocks.db and the block files: identity, configuration, state and manifests alone. */
  includeBlocks?: boolean
}

export interface BackupResult {
  files: number
  bytes: number
  /** Block files that nothing needed any more when their turn came; 0 unless a collection ran at the very start. */
  missingBlocks: number
}

/**
 * Streams a consistent copy of a data folder while the node goes on working: both databases as they are at one moment,
 * and every block file of that moment. Columns stay out: they are others' files, with copies elsewhere, and a restored copy
 * would claim what it may long have been released from.
 *
 * @throws ERR_CANCELLED, ERR_DISK_FULL (for the copies of the databases), ERR_STORAGE_IO, what `out` fails with
 */
export async function backupHome(options: BackupOptions): Promise<BackupResult> {
  const { home, state, storage, out, signal, includeBlocks = true } = options
  const pack = createPack()
  const failed = new AbortController()
  const stop = AbortSignal.any([signal, failed.signal])
  let sendError: unknown
  const sending = pipeline(Readable.from(pack, { objectMode: false }), out, { signal: stop }).catch(
    (error: unknown) => {
      if (!stop.aborted) sendError = error
      failed.abort(error)
      throw error
    },
  )
  // Awaited below, but it may fail before.
  sending.catch(() => {})
  let folder: string | undefined
  let lease: Lease | undefined
  try {
    stop.throwIfAborted()
    folder = await mkdtemp(join(home, TEMPORARY_PREFIX))
    if (includeBlocks)
      lease = await storage?.blocks.lease(basename(folder), { endsWithProcess: true, keepsAll: true })
    await state.datastore.flush()
    const hasBlocks = includeBlocks && (await isFile(join(home, BLOCKS_FILE)))
    const names = hasBlocks ? [STATE_FILE, BLOCKS_FILE] : [STATE_FILE]
    const databases = names.map((name) => ({
      source: name === STATE_FILE ? state.path : join(home, name),
      target: join(folder as string, name),
    }))
    await runStateTask({ op: 'snapshot', databases }, stop)
    const blocks = hasBlocks ? openIndex(join(folder, BLOCKS_FILE)) : undefined
    try {
      const writer = new BackupWriter(pack, join(folder, MANIFEST_NAME), hasBlocks, stop)
      for (const name of PLAIN_FILES) await writer.addPlainFile(name, join(home, name))
      for (const { target } of databases) await writer.addFile(basename(target), target)
      await addManifestFiles(writer, join(home, MANIFESTS_FOLDER))
      if (blocks !== undefined) await addBlockFiles(writer, home, blocks)
      const result = await writer.end()
      await sending
      return result
    } finally {
      blocks?.close()
    }
  } catch (error) {
    failed.abort(error)
    pack.destroy()
    await sending.catch(() => {})
    if (signal.aborted) throw cancelled(signal.reason)
    throw sendError ?? fromSystemError(error)
  } finally {
    await lease?.release().catch(() => {})
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  }
}

/** Writes entries, and beside them the manifest that will be the last one. */
class BackupWriter {
  readonly #pack: Pack
  readonly #manifestPath: string
  readonly #includesBlocks: boolean
  readonly #signal: AbortSignal
  #manifest: FileHandle | undefined
  #files = 0
  #bytes = 0
  #missing = 0

  constructor(pack: Pack, manifestPath: string, includesBlocks: boolean, signal: AbortSignal) {
    this.#pack = pack
    this.#manifestPath = manifestPath
    this.#includesBlocks = includesBlocks
    this.#signal = signal
  }

  /** A small file that an operator may be changing: read whole, so that its size is that of its bytes. */
  async addPlainFile(name: string, path: string): Promise<void> {
    const file = await openIfThere(path)
    if (file === undefined) return
    try {
      const { size } = await file.stat()
      if (size > MAX_PLAIN_FILE_BYTES)
        throw new Error(`${path} has ${size} bytes; at most ${MAX_PLAIN_FILE_BYTES}`)
      const bytes = await file.readFile()
      await this.#add(name, bytes.byteLength, Readable.from([bytes]))
    } finally {
      await file.close()
    }
  }

  /** A file that may be replaced or removed meanwhile, but never changes: all of it comes out of one handle. */
  async addLoneFile(name: string, path: string): Promise<void> {
    const file = await openIfThere(path)
    if (file === undefined) return
    try {
      const { size } = await file.stat()
      const bytes =
        size === 0
          ? Readable.from([])
          : file.createReadStream({ end: size - 1, highWaterMark: READ_BYTES, autoClose: false })
      await this.#add(name, size, bytes)
    } finally {
      await file.close()
    }
  }

  async addFile(name: string, path: string): Promise<void> {
    const { size } = await stat(path)
    // An empty file has no last byte to read up to.
    const bytes =
      size === 0 ? Readable.from([]) : createReadStream(path, { end: size - 1, highWaterMark: READ_BYTES })
    await this.#add(name, size, bytes)
  }

  async addBlockFile(name: string, path: string): Promise<void> {
    if (await isFile(path)) await this.addFile(name, path)
    else this.#missing += 1
  }

  async end(): Promise<BackupResult> {
    const result = { files: this.#files, bytes: this.#bytes, missingBlocks: this.#missing }
    await this.#note(manifestLine(result))
    await this.#manifest?.close()
    await this.addFile(MANIFEST_NAME, this.#manifestPath)
    this.#pack.finalize()
    return result
  }

  async #add(name: string, size: number, bytes: Readable): Promise<void> {
    this.#signal.throwIfAborted()
    const hash = createHash('sha256')
    const entry = this.#pack.entry({ name, size, mode: FILE_MODE, type: 'file', mtime: new Date() })
    await pipeline(
      bytes,
      async function* (chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          hash.update(chunk)
          yield chunk
        }
      },
      entry,
      { signal: this.#signal },
    )
    if (name === MANIFEST_NAME) return
    this.#files += 1
    this.#bytes += size
    await this.#note(manifestLine({ path: name, sizeBytes: size, sha256: hash.digest('hex') }))
  }

  async #note(line: string): Promise<void> {
    if (this.#manifest === undefined) {
      this.#manifest = await open(this.#manifestPath, 'wx', FILE_MODE)
      await this.#manifest.appendFile(
        manifestLine({
          format: BACKUP_FORMAT,
          version: BACKUP_VERSION,
          createdAtMs: Date.now(),
          includesBlocks: this.#includesBlocks,
        }),
      )
    }
    await this.#manifest.appendFile(line)
  }
}

interface BlockIndex {
  /** Multihashes of the blocks that live in files, a page at a time. */
  pages(): Generator<Uint8Array[]>
  close(): void
}

function openIndex(path: string): BlockIndex {
  const db = new Database(path, { readonly: true, fileMustExist: true })
  // Pages by rows read, not by rows found: a million small blocks may lie between two files.
  const page = db.prepare<[number, number], { id: number; mh: Uint8Array; place: number }>(
    'SELECT id, mh, place FROM block WHERE id > ? ORDER BY id LIMIT ?',
  )
  return {
    *pages() {
      let rows = page.all(0, INDEX_PAGE_ROWS)
      while (rows.length > 0) {
        yield rows.filter(({ place }) => place === PLACE_FILE).map(({ mh }) => mh)
        rows = page.all(rows.at(-1)?.id ?? Number.MAX_SAFE_INTEGER, INDEX_PAGE_ROWS)
      }
    },
    close: () => db.close(),
  }
}

async function addBlockFiles(writer: BackupWriter, home: string, index: BlockIndex): Promise<void> {
  const layout = blocksLayout(home)
  for (const mhs of index.pages()) {
    for (const mh of mhs) {
      const path = layout.filePath(mh)
      await writer.addBlockFile(`blocks/${basename(dirname(path))}/${basename(path)}`, path)
    }
  }
}

/** They are written under another name and renamed, which is not taken. */
async function addManifestFiles(writer: BackupWriter, folder: string): Promise<void> {
  let entries: Dir
  try {
    entries = await opendir(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  for await (const entry of entries) {
    const name = `${MANIFESTS_FOLDER}/${entry.name}`
    if (entry.isFile() && isAllowedPath(name)) await writer.addLoneFile(name, join(folder, entry.name))
  }
}

/** Removes what backups left behind that ended with their process. Only before this node can have begun one. */
export async function removeBackupLeftovers(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    if (name.startsWith(TEMPORARY_PREFIX)) await rm(join(home, name), { recursive: true, force: true })
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
