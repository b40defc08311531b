import type { Database } from 'better-sqlite3'

/** Version 8: provider records that are announced over and over. */
export function createProvideTable(db: Database): void {
  db.exec(`
    -- One row a multihash, as in the DHT. 'kind' is 0 for a root and 1 for a block below one. 'loose' is 1 for what was added
    -- without a pin. 'due_ms' is when it should be announced, 'next_ms' when that is tried; they differ after a failure.
    CREATE TABLE provide_record (
      mh          BLOB PRIMARY KEY,
      cid         BLOB NOT NULL,
      kind        INTEGER NOT NULL,
      loose       INTEGER NOT NULL,
      due_ms      INTEGER NOT NULL,
      next_ms     INTEGER NOT NULL,
      provided_ms INTEGER,
      failures    INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX provide_record_next ON provide_record (kind, next_ms);
    CREATE INDEX provide_record_due ON provide_record (due_ms);
  `)
}
