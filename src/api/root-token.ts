import { randomBytes } from 'node:crypto'
import { chmod, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../telemetry/types.ts'
import { tokenFileUnusable } from './errors.ts'
import { newTokenText } from './tokens.ts'

const PRIVATE_MODE = 0o600
const OTHERS_MASK = 0o077

/** A token that a person chose may be shorter than ours, but not guessable; the alphabet is that of a header (RFC 6750). */
const USABLE = /^[A-Za-z0-9._~+/-]{16,512}=*$/

/**
 * The root token in HOME/api.token, which has the scope admin: created at the first start, readable by its owner only.
 * Where others could read the file, they may have done so: the token is replaced and the mode put right, with a warning.
 *
 * @throws ERR_TOKEN_FILE where the file cannot be used, with what to do
 */
export async function loadRootToken(home: string, log: Logger): Promise<string> {
  const path = join(home, 'api.token')
  const found = await readToken(path)
  if (found === undefined) return createToken(path)
  if ((found.mode & OTHERS_MASK) !== 0 && process.platform !== 'win32') {
    log.warn(
      { path, mode: (found.mode & 0o777).toString(8) },
      'api.token could be read by others; it is replaced by a new token with mode 600',
    )
    const token = await createToken(path)
    const { mode } = await stat(path)
    if ((mode & OTHERS_MASK) !== 0) {
      throw tokenFileUnusable(path, 'the file system does not keep mode 600; use a home on one that does')
    }
    return token
  }
  if (!USABLE.test(found.text)) {
    throw tokenFileUnusable(
      path,
      'does not hold a token (16 to 512 letters, digits and ._~+/-); delete it to get a new one',
    )
  }
  return found.text
}

async function readToken(path: string): Promise<{ text: string; mode: number } | undefined> {
  try {
    const { mode } = await stat(path)
    return { text: (await readFile(path, 'utf8')).trim(), mode }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw tokenFileUnusable(path, `cannot be read (${(error as Error).message})`)
  }
}

async function createToken(path: string): Promise<string> {
  const token = newTokenText()
  await writePrivateFile(path, `${token}\n`)
  return token
}

/** Replaces a file as a whole: a reader sees the old text or the new one, and nobody else ever sees either. */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
  try {
    const file = await open(temporary, 'wx', PRIVATE_MODE)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    // The umask may have taken bits away; it never adds any.
    await chmod(temporary, PRIVATE_MODE)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
