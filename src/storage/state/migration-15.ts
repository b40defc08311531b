import type { Database } from 'better-sqlite3'

/** Version 15: content that was fetched and may be evicted. */
export function createCacheTable(db: Database): void {
  db.exec(`
    -- 'heat' is how often it was read lately, as of 'heat_ms'; it halves with time. 'source' is the peer that brought most of it.
    CREATE TABLE cached_root (
      cid     BLOB PRIMARY KEY,
      bytes   INTEGER NOT NULL,
      heat    REAL NOT NULL,
      heat_ms INTEGER NOT NULL,
      last_ms INTEGER NOT NULL,
      source  TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
  `)
}
