import Database from 'better-sqlite3'
import { storageError } from '../errors.ts'

/** Where a block's bytes are. */
export const PLACE_DATA = 0
export const PLACE_FILE = 1
/** Quarantined: the row stays for its references, the bytes are not held. */
export const PLACE_MISSING = 2

/** How long a connection waits for another's lock before SQLITE_BUSY. Only backups and tests ever hold one. */
const BUSY_TIMEOUT_MS = 5_000

/**
 * Bytes of a database page. Every insert dirties one random page of the hash index, which is why small pages win once
 * the index has outgrown a few hundred pages; see docs/storage-format.md for the measurement.
 */
const PAGE_SIZE_BYTES = 4_096

/** After a checkpoint the log is cut back to this, so that one burst does not hold disk space for ever. */
const LOG_LIMIT_BYTES = 16 * 1024 * 1024

/** The log is folded into the database once it holds so many bytes: large enough to batch, small enough to be quick. */
const CHECKPOINT_BYTES = 8 * 1024 * 1024

/** Page cache of the writer; index pages are what it is for. */
const WRITER_CACHE_KIB = 16 * 1024

/** Page cache of a reader: the memory tier above it holds the blocks themselves. */
const READER_CACHE_KIB = 8 * 1024

/**
 * Each entry brings the schema one version on. Never edit one that was released: append.
 *
 * The bytes of small blocks have a table of their own, because SQLite rewrites a whole row, overflow pages included,
 * when one number in it changes, and marks and counts change often. Deleting a row of `block` deletes its bytes.
 */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE block (
     id INTEGER PRIMARY KEY,
     mh BLOB NOT NULL UNIQUE,
     size INTEGER NOT NULL,
     place INTEGER NOT NULL,
     refs INTEGER NOT NULL DEFAULT 0,
     touched INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX block_garbage ON block (touched) WHERE refs = 0;
   CREATE TABLE block_data (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
   CREATE TRIGGER block_removed AFTER DELETE ON block WHEN old.place = 0
     BEGIN DELETE FROM block_data WHERE id = old.id; END;
   CREATE INDEX block_missing ON block (id) WHERE place = 2;
   CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
   INSERT INTO meta (key, value) VALUES
     ('sequence', 0), ('block_count', 0), ('block_bytes', 0), ('file_bytes', 0), ('quarantined', 0), ('unclean', 0);
   CREATE TABLE lease (
     id TEXT PRIMARY KEY,
     since INTEGER NOT NULL,
     created_ms INTEGER NOT NULL,
     durable INTEGER NOT NULL DEFAULT 1
   ) STRICT;
   CREATE TABLE ref (
     cid BLOB NOT NULL,
     deep INTEGER NOT NULL,
     count INTEGER NOT NULL,
     PRIMARY KEY (cid, deep)
   ) WITHOUT ROWID, STRICT;
   CREATE TABLE ref_work (
     id INTEGER PRIMARY KEY,
     cid BLOB NOT NULL UNIQUE,
     delta INTEGER NOT NULL,
     applied INTEGER NOT NULL,
     pin INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX ref_work_turn ON ref_work (delta, pin, id);
   CREATE TABLE pin (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     cid BLOB NOT NULL,
     name TEXT NOT NULL,
     kind INTEGER NOT NULL,
     state INTEGER NOT NULL,
     created_ms INTEGER NOT NULL,
     UNIQUE (cid, name, kind)
   ) STRICT;
   CREATE INDEX pin_unfinished ON pin (state, id) WHERE state <> 2;
   CREATE INDEX pin_name ON pin (name, id);
   CREATE INDEX pin_direct ON pin (id) WHERE kind = 0;`,
  // Marks outlive their blocks: what was collected and comes again is still private.
  `CREATE TABLE private_block (mh BLOB PRIMARY KEY, generation INTEGER NOT NULL) WITHOUT ROWID, STRICT;
   CREATE TABLE private_root (cid BLOB PRIMARY KEY, created_ms INTEGER NOT NULL) WITHOUT ROWID, STRICT;
   INSERT INTO meta (key, value) VALUES ('private_generation', 0);`,
  // What somebody gave to this node, pinned or not: no eviction takes it. Of what is there already nobody knows.
  `ALTER TABLE block ADD COLUMN added INTEGER NOT NULL DEFAULT 0;`,
]

export type Durability = 'full' | 'relaxed'

/**
 * Opens blocks.db for writing, makes or migrates it. Only the writer thread calls this.
 * @throws ERR_STORAGE_NEWER where a later version of the program made it
 */
export function openForWriting(path: string, durability: Durability): Database.Database {
  const db = new Database(path, { timeout: BUSY_TIMEOUT_MS })
  try {
    // The first two only take effect in a database that is still empty.
    db.pragma(`page_size = ${PAGE_SIZE_BYTES}`)
    db.pragma('auto_vacuum = INCREMENTAL')
    db.pragma('journal_mode = WAL')
    // FULL: a commit returns after the log reached the disk. NORMAL: the log is flushed before it is folded in, so that a
    // power loss undoes the last commits and damages nothing; OFF would be no faster between checkpoints.
    db.pragma(`synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`)
    const pageSizeBytes = db.pragma('page_size', { simple: true }) as number
    db.pragma(`wal_autocheckpoint = ${Math.ceil(CHECKPOINT_BYTES / pageSizeBytes)}`)
    db.pragma(`journal_size_limit = ${LOG_LIMIT_BYTES}`)
    db.pragma(`cache_size = -${WRITER_CACHE_KIB}`)
    migrate(db)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/**
 * How long a statement of the event loop's own connection may wait for a lock. A writer never makes a reader wait while
 * the log is in use; this is for the moment in which another connection opens or closes.
 */
const READER_TIMEOUT_MS = 40

/** Opens blocks.db for reading beside the writer, which must have opened it before. */
export function openForReading(path: string): Database.Database {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: READER_TIMEOUT_MS })
  db.pragma(`cache_size = -${READER_CACHE_KIB}`)
  return db
}

function migrate(db: Database.Database): void {
  const version = db.pragma('user_version', { simple: true }) as number
  if (version > MIGRATIONS.length) {
    throw storageError(
      'ERR_STORAGE_NEWER',
      `blocks.db has schema version ${version}, this program knows ${MIGRATIONS.length}: use the program that made it, or a newer one`,
      { details: { version, known: MIGRATIONS.length } },
    )
  }
  for (let next = version; next < MIGRATIONS.length; next++) {
    db.transaction(() => {
      db.exec(MIGRATIONS[next] as string)
      db.pragma(`user_version = ${next + 1}`)
    }).immediate()
  }
}
