import { randomBytes } from 'node:crypto'
import { lstat, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { P2pnodeError } from '../../../protocols/shared/errors.ts'

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
    this.partialPath = join(
      dirname(path),
      `.${basename(path).slice(0, 200)}.${randomBytes(4).toString('hex')}.partial`,
    )
    this.#force = force
  }

  /** @throws ERR_TARGET_EXISTS, ERR_TARGET_FOLDER */
  static async at(path: string, options: { force: boolean }): Promise<Target> {
    const target = new Target(resolve(path), options.force)
    await target.#check()
    return target
  }

  async #exists(): Promise<boolean> {
    try {
      await lstat(this.path)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
      throw new P2pnodeError(
        'ERR_TARGET_FOLDER',
        'failed',
        `${this.path} cannot be written: ${(error as Error).message}`,
        { cause: error },
      )
    }
  }

  async #check(): Promise<void> {
    if (!this.#force && (await this.#exists())) {
      throw new P2pnodeError(
        'ERR_TARGET_EXISTS',
        'conflict',
        `${this.path} exists already; use --force to replace it or -o for another place`,
        {
          details: { path: this.path },
        },
      )
    }
    try {
      if (!(await lstat(dirname(this.path))).isDirectory()) throw new Error('not a folder')
    } catch (error) {
      throw new P2pnodeError(
        'ERR_TARGET_FOLDER',
        'failed',
        `there is no folder ${dirname(this.path)} to write to`,
        { cause: error },
      )
    }
  }

  /** Moves the whole download into place. */
  async commit(): Promise<void> {
    await this.#check()
    if (!(await this.#exists())) {
      await rename(this.partialPath, this.path)
      return
    }
    // A folder cannot be renamed over one with content, so the old one steps aside and comes back if the move fails.
    const asidePath = `${this.partialPath}.replaced`
    await rename(this.path, asidePath)
    try {
      await rename(this.partialPath, this.path)
    } catch (error) {
      await rename(asidePath, this.path)
      throw error
    }
    await rm(asidePath, { recursive: true, force: true })
  }

  /** Removes what was written so far. */
  async discard(): Promise<void> {
    await rm(this.partialPath, { recursive: true, force: true })
  }
}

/** What went wrong on the local disk, in words; anything else as it is. */
export function diskError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException).code
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
  return error
}
