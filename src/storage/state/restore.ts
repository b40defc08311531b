import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { extract as createExtract } from 'tar-stream'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { cancelled, diskFull, systemCode } from '../errors.ts'
import {
  BACKUP_FORMAT,
  BACKUP_VERSION,
  type BackupFooter,
  type BackupHeader,
  isAllowedPath,
  MANIFEST_NAME,
  manifestLine,
  STATE_FILE,
} from './backup-format.ts'
import { backupInvalid, backupNewer, homeNotEmpty } from './errors.ts'
import { syncFolder } from './fsync.ts'
import { runStateTask } from './state-task.ts'

/** Files that wait for the disk at once: enough to keep it busy. */
const MAX_SYNCS = 16
/** A line of the manifest names one file: some 300 characters. */
const MAX_LINE_CHARS = 4_096
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700

export interface RestoreOptions {
  /** Must not exist, or be an empty folder. */
  home: string
  source: Readable
  signal: AbortSignal
}

export interface RestoreResult {
  files: number
  bytes: number
}

/**
 * Makes a data folder out of a backup. Everything is unpacked and checked under another name first, so that the folder is
 * there whole or not at all.
 *
 * @throws ERR_HOME_NOT_EMPTY, ERR_BACKUP_INVALID, ERR_BACKUP_NEWER, ERR_DISK_FULL, ERR_CANCELLED, what `source` fails with
 */
export async function restoreHome({ home, source, signal }: RestoreOptions): Promise<RestoreResult> {
  const target = resolve(home)
  if (signal.aborted) throw cancelled(signal.reason)
  const isThere = await checkEmpty(target)
  await mkdir(dirname(target), { recursive: true })
  // A folder that is a mount of its own (a container's volume) cannot be replaced, only filled.
  const isMount = isThere && (await stat(target)).dev !== (await stat(dirname(target))).dev
  const name = `.restore-${randomBytes(6).toString('hex')}`
  const temporary = isMount ? join(target, name) : join(dirname(target), `${basename(target)}${name}`)
  await mkdir(temporary, { mode: FOLDER_MODE })
  try {
    const result = await unpack(source, temporary, signal)
    await runStateTask({ op: 'forget-columns', path: join(temporary, STATE_FILE) }, signal)
    if (isMount) await moveUp(temporary, target)
    else await replace(temporary, target, isThere)
    return result
  } catch (error) {
    const { errored } = source
    source.destroy()
    // What the source failed with says more than that its stream ended.
    throw explain(errored ?? error, signal, errored !== null)
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

async function unpack(source: Readable, folder: string, signal: AbortSignal): Promise<RestoreResult> {
  const listPath = join(folder, MANIFEST_NAME)
  const writer = new FolderWriter(folder, await open(listPath, 'wx', FILE_MODE))
  const extract = createExtract()
  const abort = () => extract.destroy(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  source.on('error', (error) => extract.destroy(error))
  // A source that ends early without an error of its own.
  source.on('close', () => {
    if (!source.readableEnded) extract.destroy(new Error('the stream broke off'))
  })
  try {
    signal.throwIfAborted()
    source.pipe(extract)
    let footer: BackupFooter | undefined
    for await (const entry of extract) {
      if (footer !== undefined) throw backupInvalid('something follows the manifest')
      const { name, type } = entry.header
      const content = entry as AsyncIterable<unknown> as AsyncIterable<Uint8Array>
      if (type !== 'file') throw backupInvalid(`it holds ${JSON.stringify(name)}, which is no plain file`)
      if (name === MANIFEST_NAME) {
        await writer.finish()
        footer = await checkManifest(content, listPath)
      } else {
        await writer.add(name, content)
      }
    }
    if (footer === undefined) throw backupInvalid('it ends before its manifest')
    if (!writer.has(STATE_FILE)) throw backupInvalid(`it holds no ${STATE_FILE}`)
    if (footer.files !== writer.files || footer.bytes !== writer.bytes) {
      throw backupInvalid('it does not hold as much as its manifest says')
    }
    await rm(listPath)
    await writer.syncFolders()
    return { files: writer.files, bytes: writer.bytes }
  } finally {
    signal.removeEventListener('abort', abort)
    extract.destroy()
    await writer.close()
  }
}

/** Writes the files of a backup durably, and lists them as the manifest should. */
class FolderWriter {
  readonly #folder: string
  readonly #list: FileHandle
  readonly #folders = new Set<string>()
  readonly #top = new Set<string>()
  readonly #syncs = new Set<Promise<void>>()
  #syncError: unknown
  files = 0
  bytes = 0

  constructor(folder: string, list: FileHandle) {
    this.#folder = folder
    this.#list = list
  }

  has(name: string): boolean {
    return this.#top.has(name)
  }

  async add(name: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    if (!isAllowedPath(name))
      throw backupInvalid(`it holds ${JSON.stringify(name.slice(0, 200))}, which belongs in no backup`)
    const path = join(this.#folder, name)
    await this.#makeFolders(dirname(name))
    if (!name.includes('/')) this.#top.add(name)
    const hash = createHash('sha256')
    let sizeBytes = 0
    const file = await openNew(path)
    let isWritten = false
    try {
      for await (const chunk of content) {
        hash.update(chunk)
        sizeBytes += chunk.byteLength
        await file.writeFile(chunk)
      }
      isWritten = true
    } finally {
      if (!isWritten) await file.close()
    }
    await this.#syncAndClose(file)
    this.files += 1
    this.bytes += sizeBytes
    await this.#list.appendFile(manifestLine({ path: name, sizeBytes, sha256: hash.digest('hex') }))
  }

  /** Resolves when every file is on the disk. */
  async finish(): Promise<void> {
    await Promise.all(this.#syncs)
    if (this.#syncError !== undefined) throw this.#syncError
  }

  async syncFolders(): Promise<void> {
    for (const name of this.#folders) await syncFolder(join(this.#folder, name))
    await syncFolder(this.#folder)
  }

  async close(): Promise<void> {
    await Promise.all(this.#syncs)
    await this.#list.close()
  }

  async #makeFolders(name: string): Promise<void> {
    if (name === '.' || this.#folders.has(name)) return
    await mkdir(join(this.#folder, name), { recursive: true, mode: FOLDER_MODE })
    // blocks/xx, of which there are at most 1 024, and manifests: by the form of an allowed path.
    this.#folders.add(name).add(dirname(name))
  }

  async #syncAndClose(file: FileHandle): Promise<void> {
    const finish = async (): Promise<void> => {
      try {
        await file.sync()
      } finally {
        await file.close()
      }
    }
    const sync = finish()
      .catch((error: unknown) => {
        this.#syncError ??= error
      })
      .then(() => {
        this.#syncs.delete(sync)
      })
    this.#syncs.add(sync)
    if (this.#syncs.size >= MAX_SYNCS) await Promise.race(this.#syncs)
    if (this.#syncError !== undefined) throw this.#syncError
  }
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', FILE_MODE)
  } catch (error) {
    if (systemCode(error) === 'EEXIST') throw backupInvalid(`it holds ${basename(path)} twice`)
    throw error
  }
}

/** Compares the manifest with the list of what was unpacked, line by line: either may have millions. */
async function checkManifest(entry: AsyncIterable<Uint8Array>, listPath: string): Promise<BackupFooter> {
  const unpacked = lines(createReadStream(listPath))
  const manifest = lines(entry)
  try {
    const header = parse<BackupHeader>((await manifest.next()).value)
    if (header.format !== BACKUP_FORMAT) throw backupInvalid('its manifest is of another program')
    if (header.version > BACKUP_VERSION) throw backupNewer(header.version, BACKUP_VERSION)
    for await (const line of unpacked) {
      const expected = (await manifest.next()).value
      if (expected !== line) {
        const { path } = parse<{ path: string }>(line)
        throw backupInvalid(`${path} is not as it was when the backup was made`)
      }
    }
    const footer = parse<BackupFooter>((await manifest.next()).value)
    if ((await manifest.next()).done !== true) throw backupInvalid('files of its manifest are missing')
    return footer
  } finally {
    await unpacked.return(undefined)
    await manifest.return(undefined)
  }
}

async function* lines(source: AsyncIterable<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of source) {
    rest += decoder.decode(chunk, { stream: true })
    const whole = rest.split('\n')
    rest = whole.pop() ?? ''
    if (rest.length > MAX_LINE_CHARS) throw backupInvalid('its manifest is damaged')
    yield* whole
  }
  if (rest !== '') yield rest
  return undefined
}

function parse<T>(line: string | undefined): T {
  if (line === undefined) throw backupInvalid('its manifest is cut off')
  try {
    return JSON.parse(line) as T
  } catch (error) {
    throw backupInvalid('its manifest is damaged', error)
  }
}

/** True where the folder is there, and empty. */
async function checkEmpty(home: string): Promise<boolean> {
  try {
    const names = await readdir(home)
    if (names.length > 0) throw homeNotEmpty(home)
    return true
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT') return false
    if (code === 'ENOTDIR') throw homeNotEmpty(home)
    throw error
  }
}

async function replace(temporary: string, target: string, isThere: boolean): Promise<void> {
  try {
    if (isThere) await rmdir(target)
    await rename(temporary, target)
  } catch (error) {
    // Somebody was quicker, such as a daemon that was started meanwhile.
    if (['ENOTEMPTY', 'EEXIST'].includes(systemCode(error))) throw homeNotEmpty(target)
    throw error
  }
  await syncFolder(dirname(target))
}

/** Not at one stroke, but with state.db last: without it the folder is not taken for a node's. */
async function moveUp(temporary: string, target: string): Promise<void> {
  if ((await readdir(target)).some((name) => name !== basename(temporary))) throw homeNotEmpty(target)
  const names = (await readdir(temporary)).filter((name) => name !== STATE_FILE)
  for (const name of names) await rename(join(temporary, name), join(target, name))
  await syncFolder(target)
  await rename(join(temporary, STATE_FILE), join(target, STATE_FILE))
  await syncFolder(target)
}

function explain(error: unknown, signal: AbortSignal, isOfSource: boolean): unknown {
  if (signal.aborted) return cancelled(signal.reason)
  if (isOfSource || error instanceof P2pnodeError) return error
  const code = systemCode(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(error)
  if (code !== '' && error instanceof Error && 'syscall' in error) return error
  return backupInvalid(error instanceof Error ? error.message : String(error), error)
}
