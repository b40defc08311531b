import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { chmod, lstat, readdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'

/** A name on disk holds at most 255 bytes (NAME_MAX); what is added below to the target's own name takes 28 of them. */
const MAX_OWN_NAME_BYTES = 220

/**
 * Where a download ends up. It is written beside its place under a name of its own and moved there once it is whole, so
 * that nobody ever takes a part for the file, and a failed download with `--force` leaves what was there.
 */
export class Target {
  readonly path: string
  readonly partialPath: string
  readonly #force: boolean

  private constructor(path: string, force: boolean) {
    this.path = path
    const ownName = Buffer.from(basename(path))
      .subarray(0, MAX_OWN_NAME_BYTES)
      .toString()
      .replace(/\uFFFD+$/, '')
    this.partialPath = join(dirname(path), `.${ownName}.${randomBytes(4).toString('hex')}.partial`)
    this.#force = force
  }

  /** @throws ERR_TARGET_EXISTS, ERR_TARGET_FOLDER, ERR_TARGET_DANGEROUS, ERR_TARGET_DENIED */
  static async at(path: string, options: { force: boolean }): Promise<Target> {
    const target = new Target(resolve(path), options.force)
    await target.#check()
    return target
  }

  async #present(): Promise<Stats | undefined> {
    try {
      return await lstat(this.path)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return undefined
      throw code === 'ENOTDIR' ? this.#noFolder(error) : diskError(error, this.path)
    }
  }

  #noFolder(cause: unknown): P2pnodeError {
    return new P2pnodeError(
      'ERR_TARGET_FOLDER',
      'failed',
      `${this.path} cannot be written: there is no folder ${dirname(this.path)}`,
      { details: { path: this.path }, cause },
    )
  }

  /** @returns what is to be replaced */
  async #check(): Promise<Stats | undefined> {
    const present = await this.#present()
    if (present !== undefined && !this.#force) {
      throw new P2pnodeError(
        'ERR_TARGET_EXISTS',
        'conflict',
        `${this.path} exists already; use --force to replace it or -o for another place`,
        { details: { path: this.path } },
      )
    }
    if (present?.isDirectory() === true) refusePrecious(this.path)
    if (present === undefined) {
      try {
        if (!(await lstat(`${dirname(this.path)}${sep}.`)).isDirectory()) throw new Error('not a folder')
      } catch (error) {
        throw this.#noFolder(error)
      }
    }
    return present
  }

  /**
   * Moves the whole download into place.
   *
   * @throws ERR_TARGET_EXISTS where something came there meanwhile; ERR_TARGET_KIND where a file would replace a folder
   */
  async commit(): Promise<void> {
    const present = await this.#check()
    const whole = await lstat(this.partialPath)
    if (present?.isDirectory() === true && !whole.isDirectory()) {
      throw new P2pnodeError(
        'ERR_TARGET_KIND',
        'conflict',
        `${this.path} is a folder, and what was fetched is none; remove it first or choose another place with -o`,
        { details: { path: this.path } },
      )
    }
    try {
      if (present === undefined || !whole.isDirectory()) await rename(this.partialPath, this.path)
      else await this.#swap()
    } catch (error) {
      throw diskError(error, this.path)
    }
  }

  /** A folder cannot be renamed over one with content, so the old one steps aside and comes back if the move fails. */
  async #swap(): Promise<void> {
    const asidePath = `${this.partialPath}.old`
    await rename(this.path, asidePath)
    try {
      await rename(this.partialPath, this.path)
    } catch (error) {
      await rename(asidePath, this.path)
      throw error
    }
    await removeTree(asidePath)
  }

  /** Removes what was written so far. */
  async discard(): Promise<void> {
    await removeTree(this.partialPath)
  }
}

/** `--force` removes what it replaces; nobody means that of the folder they stand in, or of their own home. */
function refusePrecious(path: string): void {
  for (const precious of [process.cwd(), homedir()]) {
    if (`${resolve(precious)}${sep}`.startsWith(path === sep ? sep : `${path}${sep}`)) {
      throw new P2pnodeError(
        'ERR_TARGET_DANGEROUS',
        'usage',
        `--force would remove ${path}, and with it ${precious}; choose another place with -o`,
        { details: { path } },
      )
    }
  }
}

/** Removes a tree also where its folders forbid that to their owner (modes like 0555 came with the tree). */
async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if ((code !== 'EACCES' && code !== 'EPERM') || !(await lstat(path)).isDirectory()) throw error
    await openFolders(path)
    await rm(path, { recursive: true, force: true })
  }
}

async function openFolders(path: string): Promise<void> {
  await chmod(path, 0o700)
  for (const entry of await readdir(path, { withFileTypes: true }))
    if (entry.isDirectory()) await openFolders(join(path, entry.name))
}

/** What went wrong on the local disk, in words; anything else as it is. */
export function diskError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new P2pnodeError('ERR_TARGET_FULL', 'no-space', `there is no room left for ${path}`, {
      details: { path },
      cause: error,
    })
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new P2pnodeError(
      'ERR_TARGET_DENIED',
      'denied',
      `${path} cannot be written: ${(error as Error).message}`,
      { details: { path }, cause: error },
    )
  }
  if (code === 'ENAMETOOLONG') {
    return new P2pnodeError('ERR_TARGET_NAME', 'usage', `the name is too long for this disk: ${path}`, {
      details: { path },
      cause: error,
    })
  }
  return error
}
