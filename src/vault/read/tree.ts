import { Pacer } from '../../../protocols/shared/pacer.ts'
import type { ManifestBody, ManifestEntry } from '../codec/types.ts'
import type { VaultEntry } from '../types.ts'
import { notADirectory, pathNotFound } from './errors.ts'

/** What a path within an object leads to. */
export type Target =
  | {
      type: 'file'
      path: string
      offset: number
      size: number
      sha256: Uint8Array | null
      mime: string
      mode: number | null
    }
  | { type: 'directory'; path: string; mode: number | null }
  | { type: 'symlink'; path: string; target: string; mode: number | null }

/**
 * Finds a path in an object: slashes at either end do not matter, and no path at all is the whole. Folders need not be
 * named by an entry of their own.
 *
 * @throws ERR_NOT_FOUND
 */
export function targetOf(body: ManifestBody, written: string | undefined): Target {
  const path = normalized(written)
  if (body.kind === 'file') {
    if (path !== '') throw pathNotFound(path)
    const { size, sha256, mime } = body
    return { type: 'file', path, offset: 0, size, sha256, mime, mode: null }
  }
  if (path === '') return { type: 'directory', path, mode: null }
  const below = `${path}/`
  let isAbove = false
  for (const entry of body.entries) {
    if (entry.path === path) return ofEntry(entry)
    if (entry.path.startsWith(below)) isAbove = true
  }
  if (isAbove) return { type: 'directory', path, mode: null }
  throw pathNotFound(path)
}

function ofEntry({ type, path, offset, size, sha256, mime, mode, target }: ManifestEntry): Target {
  if (type === 'file') return { type, path, offset, size, sha256, mime, mode }
  return type === 'symlink' ? { type, path, target, mode } : { type, path, mode }
}

function normalized(path = ''): string {
  return path
    .split('/')
    .filter((name) => name !== '')
    .join('/')
}

/** Everything below a folder, in the order of the stream. */
export function entriesBelow(body: ManifestBody, folder: string): ManifestEntry[] {
  if (folder === '') return body.entries
  const below = `${folder}/`
  return body.entries.filter((entry) => entry.path.startsWith(below))
}

/**
 * Direct children of a folder by name.
 *
 * @throws ERR_NOT_FOUND, ERR_NOT_A_DIRECTORY
 */
export async function childrenOf(
  body: ManifestBody,
  written: string | undefined,
  signal: AbortSignal,
): Promise<VaultEntry[]> {
  const folder = targetOf(body, written)
  if (folder.type !== 'directory')
    throw notADirectory(folder.path === '' ? body.name : folder.path, folder.type)
  const skip = folder.path === '' ? 0 : folder.path.length + 1
  const children = new Map<string, VaultEntry>()
  // A tree may have a million entries.
  const pacer = new Pacer()
  let isSorted = true
  let last = ''
  for (const entry of entriesBelow(body, folder.path)) {
    const rest = entry.path.slice(skip)
    const slash = rest.indexOf('/')
    const name = slash < 0 ? rest : rest.slice(0, slash)
    if (!children.has(name)) {
      isSorted &&= last <= name
      last = name
    }
    if (slash < 0) children.set(name, shown(entry))
    else if (!children.has(name)) children.set(name, unnamedFolder(entry.path.slice(0, skip + slash)))
    const pause = pacer.breathe()
    if (pause !== undefined) {
      await pause
      signal.throwIfAborted()
    }
  }
  if (isSorted) return [...children.values()]
  return [...children.entries()].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, entry]) => entry)
}

function shown({ path, type, size, mode, sha256, mime, target }: ManifestEntry): VaultEntry {
  const isFile = type === 'file'
  return {
    path,
    type,
    size: isFile ? size : 0,
    mode,
    sha256: isFile && sha256 !== null ? Buffer.from(sha256).toString('hex') : null,
    mime: isFile && mime !== '' ? mime : null,
    target: type === 'symlink' ? target : null,
  }
}

function unnamedFolder(path: string): VaultEntry {
  return { path, type: 'directory', size: 0, mode: null, sha256: null, mime: null, target: null }
}
