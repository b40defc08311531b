import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import Database from 'better-sqlite3'
import type { Logger } from '../../telemetry/types.ts'
import { removeBackupLeftovers } from './backup.ts'
import { SqliteDatastore } from './datastore.ts'
import { LogFlusher } from './durability.ts'
import { stateClosed, stateCorrupt, stateDiskFull, stateUnusable } from './errors.ts'
import { syncFolder } from './fsync.ts'
import { migrate } from './migrate.ts'
import { MIGRATIONS, type Migration } from './migrations.ts'
import { runStateTask } from './state-task.ts'
import type { StateDatabase, StateDatastore } from './types.ts'

/** Only a checkpoint's worker ever holds the database besides the main connection. */
const BUSY_TIMEOUT_MS = 5_000
/** Pages of the log (4 KiB each) after which a worker copies them into the database. */
const CHECKPOINT_PAGES = 1_000
/** Should workers fail, SQLite does it itself, on the event loop, before the log outgrows 64 MiB. */
const FALLBACK_CHECKPOINT_PAGES = 16_384
const LOG_SIZE_LIMIT_BYTES = 64 * 1024 * 1024

export interface OpenStateOptions {
  /** HOME/state.db. */
  path: string
  log: Logger
  /** The versions that this program knows; other than the default only in tests. */
  migrations?: readonly Migration[]
}

/**
 * Opens state.db, creates it or brings it to the newest version. The caller holds the lock of the data folder.
 *
 * @throws ERR_STATE_CORRUPT, ERR_STATE_NEWER, ERR_STATE_MIGRATION, ERR_STATE_UNUSABLE, ERR_DISK_FULL
 */
export async function openState(options: OpenStateOptions): Promise<StateDatabase> {
  const path = resolve(options.path)
  const log = options.log.child({ part: 'state' })
  let db: Database.Database | undefined
  try {
    db = connect(path)
    await removeBackupLeftovers(dirname(path))
    await migrate(db, path, options.migrations ?? MIGRATIONS, log)
    // One full commit: it makes the log, and its name in the folder, durable before LogFlusher relies on them.
    db.pragma(`user_version = ${db.pragma('user_version', { simple: true }) as number}`)
    await syncFolder(dirname(path))
    return new State(path, db, await LogFlusher.open(path), log)
  } catch (error) {
    db?.close()
    throw explain(path, error)
  }
}

function connect(path: string): Database.Database {
  const isNew = !existsSync(path)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const db = new Database(path, { timeout: BUSY_TIMEOUT_MS })
  try {
    // Before the log is made: SQLite gives it the database's mode.
    if (isNew) chmodSync(path, 0o600)
    const mode = db.pragma('journal_mode = WAL', { simple: true })
    if (mode !== 'wal')
      throw new Error(`this file system cannot hold a write-ahead log (mode ${String(mode)})`)
    db.pragma('synchronous = FULL')
    db.pragma('foreign_keys = ON')
    db.pragma(`wal_autocheckpoint = ${FALLBACK_CHECKPOINT_PAGES}`)
    db.pragma(`journal_size_limit = ${LOG_SIZE_LIMIT_BYTES}`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

class State implements StateDatabase {
  readonly path: string
  readonly db: Database.Database
  readonly datastore: StateDatastore
  readonly #flusher: LogFlusher
  readonly #log: Logger
  readonly #logPages: Database.Statement<[], { log: number; checkpointed: number }>
  #checkpoint: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(path: string, db: Database.Database, flusher: LogFlusher, log: Logger) {
    this.path = path
    this.db = db
    this.#flusher = flusher
    this.#log = log
    this.#logPages = db.prepare('PRAGMA wal_checkpoint(NOOP)')
    this.datastore = new SqliteDatastore({ db, writeRelaxed: (work) => this.#transact(work), log })
  }

  async write<T>(work: () => T): Promise<T> {
    if (this.#closing !== undefined) throw stateClosed()
    const result = this.#transact(work)
    await this.#flusher.flush()
    return result
  }

  writeRelaxed<T>(work: () => T): T {
    if (this.#closing !== undefined) throw stateClosed()
    return this.#transact(work)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    try {
      await this.datastore.close()
    } finally {
      await this.#checkpoint
      await this.#flusher.close()
      this.db.close()
    }
  }

  #transact<T>(work: () => T): T {
    try {
      // The level cannot change within a transaction; a nested one belongs to the outer one anyway.
      if (this.db.inTransaction) return this.db.transaction(work)()
      this.db.pragma('synchronous = NORMAL')
      try {
        return this.db.transaction(work).immediate()
      } finally {
        this.db.pragma('synchronous = FULL')
        this.#checkpointIfLong()
      }
    } catch (error) {
      throw explain(this.path, error)
    }
  }

  #checkpointIfLong(): void {
    if (this.#checkpoint !== undefined) return
    const pages = this.#logPages.get()
    if (pages === undefined || pages.log - pages.checkpointed < CHECKPOINT_PAGES) return
    this.#checkpoint = runStateTask({ op: 'checkpoint', path: this.path })
      .catch((error: unknown) =>
        this.#log.warn({ err: error }, 'copying the log into the state database failed'),
      )
      .finally(() => {
        this.#checkpoint = undefined
      })
  }
}

/** Turns what SQLite reports into what a person can act on; errors of other kinds pass. */
function explain(path: string, error: unknown): unknown {
  if (!(error instanceof Database.SqliteError)) {
    return isSystemError(error) ? stateUnusable(path, error) : error
  }
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(error.code)) return stateCorrupt(path, error.message, error)
  if (error.code.startsWith('SQLITE_FULL')) return stateDiskFull(path, error)
  if (/^SQLITE_(CANTOPEN|IOERR|READONLY|PERM|AUTH)/.test(error.code)) return stateUnusable(path, error)
  return error
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error
}
