import { randomUUID } from 'node:crypto'
import { open, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Gateways may carry credentials, so the file is its owner's alone unless the owner changes that. */
const NEW_FILE_MODE = 0o600

/**
 * Replaces a file so that after a crash or power loss there is either the whole old text or the whole new one. The mode
 * of an existing file stays; a symbolic link stays a link, and the file behind it is replaced.
 */
export async function replaceFile(path: string, text: string): Promise<void> {
  const target = await realpath(path).catch(() => path)
  const temporary = join(dirname(target), `.${randomUUID()}.tmp`)
  try {
    const mode = await modeOf(target)
    await writeDurably(temporary, text, mode ?? NEW_FILE_MODE)
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(dirname(target))
}

/** Creates a file durably. @throws EEXIST where there is one already, whatever it is */
export async function createFile(path: string, text: string): Promise<void> {
  await writeDurably(path, text, NEW_FILE_MODE)
  await syncFolder(dirname(path))
}

async function writeDurably(path: string, text: string, mode: number): Promise<void> {
  const handle = await open(path, 'wx', mode)
  try {
    // The mode given to open is cut by the umask.
    await handle.chmod(mode)
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode & 0o777
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Makes a rename or creation durable. Windows cannot open folders and needs none of it. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
