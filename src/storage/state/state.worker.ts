import { parentPort, workerData } from 'node:worker_threads'
import Database from 'better-sqlite3'
import { toSingleFile } from './single-file.ts'

/** What takes too long for the event loop: one task a worker, which then ends. */
export type StateTask =
  /** Copies what the log holds into the database, so that the log can be used from its start again. */
  | { op: 'checkpoint'; path: string }
  /** Copies databases as they all are at one moment, while others go on writing to them. */
  | { op: 'snapshot'; databases: { source: string; target: string }[] }
  /** Drops from a state database that comes back what does not hold any more: columns without files, and open invitations. */
  | { op: 'forget-columns'; path: string }

/** The answer: null, or why the task failed. */
export type StateTaskReply = { error: string; code: string | null } | null

/** Another connection may hold the log for the length of one transaction. */
const BUSY_TIMEOUT_MS = 5_000
/** More tombstones than a node makes between a backup and its loss. */
const TOMBSTONES_SINCE_BACKUP = 1_000_000
/** 16 MiB a step; between steps the worker notices that it is to end. */
const SNAPSHOT_STEP_PAGES = 4_096

parentPort?.postMessage(await reply(workerData as StateTask))

async function reply(task: StateTask): Promise<StateTaskReply> {
  try {
    await run(task)
    return null
  } catch (error) {
    const code = error instanceof Database.SqliteError ? error.code : null
    return { error: error instanceof Error ? error.message : String(error), code }
  }
}

async function run(task: StateTask): Promise<void> {
  switch (task.op) {
    case 'checkpoint':
      return checkpoint(task.path)
    case 'snapshot':
      return snapshot(task.databases)
    case 'forget-columns':
      return forgetWhatIsPast(task.path)
  }
}

function checkpoint(path: string): void {
  const db = new Database(path, { fileMustExist: true, timeout: BUSY_TIMEOUT_MS })
  try {
    // PASSIVE makes nobody wait; what a reader or a writer holds is left for the next time.
    db.pragma('wal_checkpoint(PASSIVE)')
  } finally {
    db.close()
  }
}

async function snapshot(databases: { source: string; target: string }[]): Promise<void> {
  const sources = databases.map(
    ({ source }) => new Database(source, { readonly: true, timeout: BUSY_TIMEOUT_MS }),
  )
  try {
    // Open read transactions: SQLite's backup would otherwise start over whenever another connection commits, and
    // under steady writes never end. The log grows meanwhile.
    for (const source of sources) {
      source.exec('BEGIN')
      source.prepare('SELECT count(*) FROM sqlite_schema').get()
    }
    for (const [index, { target }] of databases.entries()) {
      await sources[index]?.backup(target, { progress: () => SNAPSHOT_STEP_PAGES })
      toSingleFile(target)
    }
  } finally {
    for (const source of sources) source.close()
  }
}

function forgetWhatIsPast(path: string): void {
  const db = new Database(path, { fileMustExist: true, timeout: BUSY_TIMEOUT_MS })
  try {
    db.transaction(() => {
      if (hasTable(db, 'held_column')) forgetColumns(db)
      // Each of them may have been used or taken back since the backup was made, and would let somebody in a second time.
      if (hasTable(db, 'swarm_invitation'))
        db.prepare('DELETE FROM swarm_invitation WHERE used_ms IS NULL').run()
    }).immediate()
  } finally {
    db.close()
  }
}

/**
 * What is held is claimed by rows, so none may stay. Deletions stay, and their counter jumps: peers may know numbers that this
 * node gave out after the backup, and would otherwise take new ones for old.
 */
function forgetColumns(db: Database.Database): void {
  db.prepare('DELETE FROM held_column').run()
  db.prepare(`UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'column_tombstone'`).run(
    TOMBSTONES_SINCE_BACKUP,
  )
}

function hasTable(db: Database.Database, name: string): boolean {
  return db.prepare(`SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?`).get(name) !== undefined
}
