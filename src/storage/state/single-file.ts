import Database from 'better-sqlite3'

/**
 * Makes the copy of a database one file that needs no other. A copy's header says that it has a write-ahead log, so
 * that even reading it would make a log and an index beside it.
 */
export function toSingleFile(path: string): void {
  const db = new Database(path, { fileMustExist: true })
  try {
    db.pragma('journal_mode = DELETE')
  } finally {
    db.close()
  }
}
