import { chmodSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import Database from 'better-sqlite3'
import { homeLocked, homeUnusable } from './errors.ts'

/** Keep a reference as long as the folder is in use: the lock ends with its object, at the latest with the process. */
export interface HomeLock {
  readonly home: string
  /** Called again, it does nothing. */
  release(): void
}

/** The only file that a data folder has for the length of a lock; it stays empty. Never open it with `node:fs`. */
const LOCK_FILE = 'lock'

/**
 * Makes this process the only owner of a data folder, which is created (mode 0700) if it is missing.
 *
 * The lock is an exclusive transaction on an empty SQLite database, in other words a lock of the operating system on
 * an open file: it ends with the process however that ends, so that nothing stale is ever in the way, and a process id
 * that is used again (1, in a container) cannot be mistaken for the owner. SQLite also keeps two connections of one
 * process apart, which the bare POSIX lock would not.
 *
 * @throws ERR_HOME_LOCKED when another process or another node of this process holds the folder
 * @throws ERR_HOME_UNUSABLE when the folder or the lock file cannot be created or opened
 */
export function acquireHomeLock(home: string): HomeLock {
  const folder = resolve(home)
  const path = join(folder, LOCK_FILE)
  let db: Database.Database | undefined
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    db = new Database(path, { timeout: 0 })
    // SQLite never makes a file more readable than the umask allows, but that may be the whole world.
    chmodSync(path, 0o600)
    // No journal may stay beside the lock, and nothing is ever written.
    db.pragma('journal_mode = MEMORY')
    db.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    db?.close()
    throw isBusy(error) ? homeLocked(folder, error) : homeUnusable(folder, error)
  }

  let held: Database.Database | undefined = db
  return {
    home: folder,
    release() {
      held?.close()
      held = undefined
    },
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Database.SqliteError && /^SQLITE_(BUSY|LOCKED)/.test(error.code)
}
