import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract, type Header } from 'tar-stream'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'
import { diskError } from './target.ts'
import { FileWriter } from './write-file.ts'

/** Files up to this size are taken whole and written beside each other; larger ones as they arrive. */
const SMALL_FILE_BYTES = 256 * 1024
/** Small files being written at once: at most 4 MiB of them in memory. */
const MAX_WRITES = 16
/** A link's target longer than this cannot be created on Linux (PATH_MAX). */
const MAX_TARGET_BYTES = 4096

const DEFAULT_MODE = 0o644
const MODE_BITS = 0o7777

export interface WrittenTree {
  sizeBytes: number
  files: number
}

function refuse(name: string, why: string): P2pnodeError {
  return new P2pnodeError(
    'ERR_TREE_INVALID',
    'verification',
    `the tree holds ${JSON.stringify(name)}, ${why}; nothing was written`,
    { details: { name } },
  )
}

/** Whether a name is one name below a folder, on any platform: `basename` also knows `C:` and `\` where they mean something. */
function isPlainName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('\0') && basename(name) === name
}

/** The path of an entry, its first segment being the name of the tree's own root. */
function segmentsOf(name: string): string[] {
  const segments = (name.endsWith('/') ? name.slice(0, -1) : name).split('/')
  if (!segments.every(isPlainName)) throw refuse(name, 'which is not a path below it')
  return segments
}

/** One tree being written: what exists of it so far, and what is made at the end. */
class TreeWriter implements WrittenTree {
  sizeBytes = 0
  files = 0
  readonly #rootPath: string
  readonly #onBytes: ((bytes: number) => void) | undefined
  #rootName: string | undefined
  /** Path → mode, parents first. */
  readonly #folders = new Map<string, number>()
  readonly #links: { path: string; target: string }[] = []
  readonly #writes = new Set<Promise<void>>()
  #failure: { error: unknown } | undefined

  constructor(rootPath: string, onBytes: ((bytes: number) => void) | undefined) {
    this.#rootPath = rootPath
    this.#onBytes = onBytes
  }

  async entry(header: Header, content: AsyncIterable<Uint8Array>): Promise<void> {
    const path = this.#pathOf(header.name)
    const mode = (header.mode ?? DEFAULT_MODE) & MODE_BITS
    if (header.type === 'directory') {
      await mkdir(path, { mode: 0o700 })
      this.#folders.set(path, mode)
    } else if (header.type === 'symlink') {
      this.#links.push({ path, target: targetOf(header) })
    } else if (header.type === 'file') {
      this.files += 1
      if ((header.size ?? 0) > SMALL_FILE_BYTES) await this.#writeLarge(path, mode, content)
      else await this.#writeSmall(path, mode, content)
    } else {
      throw refuse(header.name, `a ${header.type ?? 'thing'} that cannot be created`)
    }
  }

  /** Everything lies below one root, and in folders that this tree made: never beyond a link, nor in a folder that was there. */
  #pathOf(name: string): string {
    const [rootName, ...segments] = segmentsOf(name)
    this.#rootName ??= rootName
    if (rootName !== this.#rootName) throw refuse(name, 'which lies beside its root')
    const path = join(this.#rootPath, ...segments)
    if (segments.length > 0 && !this.#folders.has(dirname(path)))
      throw refuse(name, 'which lies in no folder of it')
    return path
  }

  async *#counted(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of content) {
      this.sizeBytes += chunk.length
      this.#onBytes?.(chunk.length)
      yield chunk
    }
  }

  async #writeSmall(path: string, mode: number, content: AsyncIterable<Uint8Array>): Promise<void> {
    const parts: Uint8Array[] = []
    for await (const chunk of this.#counted(content)) parts.push(chunk)
    const write = async (): Promise<void> => {
      try {
        await writeFile(path, Buffer.concat(parts), { flag: 'wx', mode })
        await chmod(path, mode)
      } catch (error) {
        this.#failure ??= { error }
      }
    }
    const tracked = write().finally(() => this.#writes.delete(tracked))
    this.#writes.add(tracked)
    if (this.#writes.size >= MAX_WRITES) await Promise.race(this.#writes)
    this.#throwFailure()
  }

  async #writeLarge(path: string, mode: number, content: AsyncIterable<Uint8Array>): Promise<void> {
    const writer = await FileWriter.create(path, { mode, hash: false })
    try {
      for await (const chunk of this.#counted(content)) await writer.write(chunk)
      await writer.end({ mode })
    } catch (error) {
      await writer.abandon()
      throw error
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Waits for what is being written. */
  async settle(): Promise<void> {
    await Promise.all(this.#writes)
  }

  /** Makes the links and then sets the modes of folders, the deepest first: a folder may forbid to be written to. */
  async finish(): Promise<void> {
    await this.settle()
    this.#throwFailure()
    if (this.#rootName === undefined) throw refuse('', 'which is nothing at all')
    for (const { path, target } of this.#links) await symlink(target, path)
    for (const [path, mode] of [...this.#folders].reverse()) await chmod(path, mode)
  }
}

function targetOf(header: Header): string {
  const target = header.linkname ?? ''
  if (target === '' || target.includes('\0') || Buffer.byteLength(target) > MAX_TARGET_BYTES)
    throw refuse(header.name, 'a link to nowhere')
  return target
}

/**
 * Unpacks a tar stream whose entries all lie below one root into `rootPath`, which must not exist.
 *
 * Links are made last and modes of folders after them: nothing is ever written through a link of the same tree, and a folder
 * without write permission can still be filled. Modes are set as they are, whatever the umask.
 *
 * @throws ERR_TREE_INVALID, ERR_TARGET_FULL, ERR_TARGET_DENIED, ERR_TARGET_NAME; what `source` throws, as it is
 */
export async function writeTree(
  source: AsyncIterable<Uint8Array>,
  rootPath: string,
  options: { signal: AbortSignal; onBytes?: (bytes: number) => void },
): Promise<WrittenTree> {
  const tree = new TreeWriter(rootPath, options.onBytes)
  const tar = extract()
  let sourceFailure: { error: unknown } | undefined
  const watched = async function* (): AsyncGenerator<Uint8Array> {
    const iterator = source[Symbol.asyncIterator]()
    // Around `next` alone: a failure of the unpacking is thrown into this generator at its `yield`.
    const next = async (): Promise<IteratorResult<Uint8Array>> => {
      try {
        return await iterator.next()
      } catch (error) {
        sourceFailure = { error }
        throw error
      }
    }
    try {
      for (let step = await next(); step.done !== true; step = await next()) yield step.value
    } finally {
      await iterator.return?.()
    }
  }
  const unpack = async (): Promise<void> => {
    for await (const entry of tar) {
      await tree.entry(entry.header, entry as AsyncIterable<Uint8Array>)
      entry.resume()
    }
  }
  const unpacking = unpack()
  unpacking.catch((error: unknown) => tar.destroy(error as Error))
  try {
    await Promise.all([
      pipeline(Readable.from(watched(), { objectMode: false }), tar, { signal: options.signal }),
      unpacking,
    ])
    await tree.finish()
  } catch (error) {
    // Nothing may be written any more once this has thrown: whoever called removes what is there.
    tar.destroy()
    await unpacking.catch(() => {})
    await tree.settle()
    options.signal.throwIfAborted()
    throw sourceFailure === undefined ? explained(error, rootPath) : sourceFailure.error
  }
  return { sizeBytes: tree.sizeBytes, files: tree.files }
}

/** What keeps a tree from being written: the disk, or the tree itself. */
function explained(error: unknown, rootPath: string): unknown {
  if (error instanceof P2pnodeError) return error
  if (!(error instanceof Error)) return error
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EEXIST') {
    return new P2pnodeError(
      'ERR_TREE_INVALID',
      'verification',
      'the tree holds one name twice; nothing was written',
      { cause: error },
    )
  }
  // Bare errors without a code are those of the tar parser.
  if (code === undefined && error.name === 'Error') {
    return new P2pnodeError(
      'ERR_TREE_INVALID',
      'verification',
      `the tree is no whole tar archive: ${error.message}`,
      { cause: error },
    )
  }
  return diskError(error, rootPath)
}
