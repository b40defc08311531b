import { createHash } from 'node:crypto'
import type { Dirent, Stats } from 'node:fs'
import { lstat, readdir, readlink, realpath } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'

/** One file, folder or link of a tree that is about to be sent. */
export interface SourceEntry {
  /** Below the tree, with forward slashes; empty for the tree itself. */
  path: string
  absolutePath: string
  type: 'file' | 'directory' | 'symlink'
  sizeBytes: number
  /** Permission bits, 0 to 0o7777. */
  mode: number
  mtimeMs: number
  /** Where a symlink points, as it stands. */
  target?: string
}

export interface SourceTree {
  rootPath: string
  name: string
  entries: SourceEntry[]
  fileBytes: number
  files: number
  /** What cannot be sent, each with the reason: sockets, pipes, devices. */
  skipped: { path: string; reason: string }[]
  /** The same for the same unchanged tree, different after any change: an interrupted upload is found again by it. */
  fingerprint: string
}

/** A tree has at most so many entries: each takes about 400 bytes here, and the list must fit in memory. */
const MAX_ENTRIES = 5_000_000
/** `lstat` calls under way at once; more only queue in libuv's pool of four threads. */
const STAT_CONCURRENCY = 32

function sourceError(code: string, message: string, path: string, cause?: unknown): P2pnodeError {
  return new P2pnodeError(code, 'usage', message, { details: { path }, cause })
}

function readable(path: string, error: unknown): P2pnodeError {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOENT')
    return new P2pnodeError('ERR_SOURCE_NOT_FOUND', 'not-found', `${path} does not exist`, {
      details: { path },
      cause: error,
    })
  if (code === 'EACCES' || code === 'EPERM') {
    return new P2pnodeError('ERR_SOURCE_DENIED', 'denied', `${path} cannot be read: permission denied`, {
      details: { path },
      cause: error,
    })
  }
  return new P2pnodeError(
    'ERR_SOURCE_UNREADABLE',
    'failed',
    `${path} cannot be read: ${(error as Error).message}`,
    { details: { path }, cause: error },
  )
}

/** Names are bytes on disk and text in a DAG: one that is not UTF-8 cannot be kept as it is, so it is refused by name. */
function decodeName(name: Buffer, where: string): string {
  const text = name.toString('utf8')
  if (!Buffer.from(text, 'utf8').equals(name)) {
    throw sourceError(
      'ERR_SOURCE_NAME',
      `${where} is not valid UTF-8: ${JSON.stringify(name.toString('latin1'))}; rename it first`,
      where,
    )
  }
  return text
}

async function linkTarget(absolutePath: string): Promise<string> {
  const target = await readlink(absolutePath, { encoding: 'buffer' })
  return decodeName(target, `what the link ${absolutePath} points to`)
}

function typeOf(stats: Stats): string {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isFIFO()) return 'a named pipe'
  if (stats.isSocket()) return 'a socket'
  return 'a device'
}

async function entryOf(
  path: string,
  absolutePath: string,
): Promise<SourceEntry | { path: string; reason: string }> {
  try {
    const stats = await lstat(absolutePath)
    const type = typeOf(stats)
    if (type !== 'file' && type !== 'directory' && type !== 'symlink') return { path, reason: type }
    return {
      path,
      absolutePath,
      type,
      sizeBytes: type === 'file' ? stats.size : 0,
      mode: stats.mode & 0o7777,
      mtimeMs: stats.mtimeMs,
      ...(type === 'symlink' ? { target: await linkTarget(absolutePath) } : {}),
    }
  } catch (error) {
    if (error instanceof P2pnodeError) throw error
    throw readable(absolutePath, error)
  }
}

/** UTF-8 byte order, which is the order of names in a UnixFS directory. */
function byBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left, 'utf8'), Buffer.from(right, 'utf8'))
}

/**
 * Lists a file or a tree without following links, parents before children, each folder in the order of its names' bytes, so that the
 * same tree always gives the same list.
 *
 * @throws ERR_SOURCE_NOT_FOUND, ERR_SOURCE_DENIED, ERR_SOURCE_UNREADABLE, ERR_SOURCE_NAME, ERR_SOURCE_TOO_MANY
 */
export async function listSource(path: string, signal: AbortSignal): Promise<SourceTree> {
  const rootPath = resolve(path)
  const root = await entryOf('', rootPath)
  if ('reason' in root)
    throw sourceError('ERR_SOURCE_TYPE', `${path} is ${root.reason}, which cannot be added`, path)

  const entries: SourceEntry[] = [root]
  const skipped: SourceTree['skipped'] = []

  // A stack of folders still to be listed, in reverse, gives depth-first order without recursion.
  const folders: SourceEntry[] = root.type === 'directory' ? [root] : []
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    signal.throwIfAborted()
    const parent = folder
    let names: Dirent<Buffer>[]
    try {
      names = await readdir(parent.absolutePath, { withFileTypes: true, encoding: 'buffer' })
    } catch (error) {
      throw readable(parent.absolutePath, error)
    }
    const sorted = names
      .map((entry) => decodeName(entry.name, `a name in ${parent.absolutePath}`))
      .sort(byBytes)
    const children: SourceEntry[] = []
    for (let at = 0; at < sorted.length; at += STAT_CONCURRENCY) {
      const group = sorted.slice(at, at + STAT_CONCURRENCY)
      const found = await Promise.all(
        group.map((name) =>
          entryOf(parent.path === '' ? name : `${parent.path}/${name}`, join(parent.absolutePath, name)),
        ),
      )
      for (const entry of found) {
        if ('reason' in entry) skipped.push(entry)
        else children.push(entry)
      }
    }
    entries.push(...children)
    if (entries.length > MAX_ENTRIES) {
      throw sourceError(
        'ERR_SOURCE_TOO_MANY',
        `${path} holds more than ${MAX_ENTRIES} entries; add its parts one by one`,
        path,
      )
    }
    folders.push(...children.filter((entry) => entry.type === 'directory').reverse())
  }

  const hash = createHash('sha256').update(JSON.stringify(['p2pnode source', 1, rootPath]))
  let fileBytes = 0
  let files = 0
  for (const entry of entries) {
    hash.update(
      JSON.stringify([
        entry.path,
        entry.type,
        entry.sizeBytes,
        entry.mode,
        entry.mtimeMs,
        entry.target ?? null,
      ]),
    )
    fileBytes += entry.sizeBytes
    if (entry.type === 'file') files += 1
  }
  return {
    rootPath,
    name: basename(rootPath) || 'root',
    entries,
    fileBytes,
    files,
    skipped,
    fingerprint: hash.digest('hex'),
  }
}

/**
 * As `listSource`, for a path that was named by hand: a link stands for what it points to, as with `cp`, under its own
 * name. Links inside a tree stay links.
 *
 * @throws as `listSource`; ERR_SOURCE_NOT_FOUND also for a link to nowhere
 */
export async function listNamedSource(path: string, signal: AbortSignal): Promise<SourceTree> {
  const named = resolve(path)
  let realPath: string
  try {
    realPath = (await lstat(named)).isSymbolicLink() ? await realpath(named) : named
  } catch (error) {
    throw readable(named, error)
  }
  const tree = await listSource(realPath, signal)
  return { ...tree, name: basename(named) || tree.name }
}
