import { entryRefused } from './errors.ts'

/** The longest name of common file systems is 255 bytes; some allow 255 UTF-16 units, up to 765 bytes. */
const MAX_NAME_BYTES = 1024
/** Far deeper than any real tree; bounds the recursion that builds directories. */
const MAX_DEPTH = 512

/**
 * The names on the way from the root to an entry; none for the root itself. `.` and repeated slashes mean nothing and
 * are left out; every other character is part of a name.
 *
 * @throws ERR_ENTRY_REFUSED for what could lead out of the tree or cannot be a name
 */
export function entryNames(path: string): string[] {
  if (path.includes('\0')) throw entryRefused(path, 'its name has a NUL character')
  if (path.startsWith('/')) throw entryRefused(path, 'its path is absolute')
  const names = path.split('/').filter((name) => name !== '' && name !== '.')
  if (names.includes('..')) throw entryRefused(path, 'its path has ".." in it')
  if (names.length > MAX_DEPTH) throw entryRefused(path, `it lies deeper than ${MAX_DEPTH} directories`)
  for (const name of names) {
    if (Buffer.byteLength(name) > MAX_NAME_BYTES)
      throw entryRefused(path, `a name is longer than ${MAX_NAME_BYTES} bytes`)
  }
  return names
}
