import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import type { Stats } from 'node:fs'
import { link, mkdir, open, readdir, realpath, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type KeyWords, keyExposed, keyInvalid, keyUnreadable } from './errors.ts'

/** Largest key file in bytes: one has about 500; a larger file is something else. */
const MAX_KEY_FILE_BYTES = 4096

/** The text of a key file that only its owner can read, or undefined where there is none. */
export async function readKeyFile(path: string, form: KeyWords): Promise<string | undefined> {
  try {
    // O_NONBLOCK: a named pipe in that place must not hang the start.
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    try {
      const stat = await handle.stat()
      if (!stat.isFile()) throw keyInvalid(form, path, 'it is not a regular file')
      refuseExposed(form, path, stat)
      if (stat.size > MAX_KEY_FILE_BYTES) throw keyInvalid(form, path, `it has ${stat.size} bytes`)
      return (await handle.readFile()).toString('utf8')
    } finally {
      await handle.close()
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw asReadable(form, path, error)
  }
}

/**
 * Creates the file durably, with its whole content or not at all, so that a crash never leaves half a key: written and
 * synced under another name, then linked, which fails where the name is taken.
 *
 * @returns false where there is a file of that name already; it is not touched
 */
export async function createKeyFile(path: string, text: string, form: KeyWords): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = temporaryName(path)
  try {
    await writeDurably(temporary, text)
    await linkOrCreate(temporary, path, text)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // ENOENT: whoever was first has already swept this temporary away.
    if (code === 'EEXIST' || code === 'ENOENT') return false
    throw asReadable(form, path, error)
  } finally {
    await removeTemporaries(path)
  }
  await syncFolder(dirname(path))
  return true
}

/**
 * Puts new content in place of the file's, durably, the old or the new one being there at any moment. A symbolic link
 * stays one; the file behind it is replaced.
 */
export async function replaceKeyFile(path: string, text: string, form: KeyWords): Promise<void> {
  const target = await realpath(path)
  const temporary = temporaryName(target)
  try {
    await writeDurably(temporary, text)
    await rename(temporary, target)
    await syncFolder(dirname(target))
  } catch (error) {
    await rm(temporary, { force: true })
    throw asReadable(form, path, error)
  }
}

/**
 * A private key is its owner's alone. The file that was opened is judged, so a symbolic link is judged by its target.
 * Windows has other means, and reports modes that say nothing.
 */
function refuseExposed(form: KeyWords, path: string, { mode, uid }: Stats): void {
  const user = process.getuid?.()
  if (user === undefined) return
  const quoted = `'${path.replaceAll("'", "'\\''")}'`
  // Root's files are trusted: root can read and replace any file anyway.
  if (uid !== user && uid !== 0) {
    throw keyExposed(form, path, `it belongs to user ${uid}, not to ${user}`, `chown ${user} ${quoted}`)
  }
  if ((mode & 0o077) !== 0) {
    const found = (mode & 0o777).toString(8).padStart(4, '0')
    throw keyExposed(form, path, `its mode is ${found}, so that others may use it`, `chmod 600 ${quoted}`)
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const handle = await open(path, 'wx', 0o600)
  try {
    // A umask can only take rights away, and this one must be able to read its own key.
    await handle.chmod(0o600)
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Some file systems (FAT, some network and container mounts) have no links; there the name is taken by O_EXCL. */
async function linkOrCreate(temporary: string, path: string, text: string): Promise<void> {
  try {
    await link(temporary, path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw error
    await writeDurably(path, text)
  }
}

function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`)
}

/** Removes this file's temporaries, those of a crash included: each holds a key. */
async function removeTemporaries(path: string): Promise<void> {
  const isTemporary = (name: string) => name.startsWith(`.${basename(path)}.`) && name.endsWith('.tmp')
  for (const name of await readdir(dirname(path))) {
    if (isTemporary(name)) await rm(join(dirname(path), name), { force: true })
  }
}

async function syncFolder(path: string): Promise<void> {
  // Windows cannot open folders.
  if (process.platform === 'win32') return
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function asReadable(form: KeyWords, path: string, error: unknown): unknown {
  return (error as NodeJS.ErrnoException).syscall === undefined
    ? error
    : keyUnreadable(form, path, error as Error)
}
