import type { Database } from 'better-sqlite3'

/** Version 12: what was learned about sources of public content. */
export function createSourceTable(db: Database): void {
  db.exec(`
    -- 'source' is a peer id, or the kind of another source and its name. Counts and sums are those of 'at_ms': whoever
    -- reads them later halves them with every half-life that has passed since.
    CREATE TABLE source (
      source        TEXT PRIMARY KEY,
      successes     REAL NOT NULL,
      failures      REAL NOT NULL,
      bytes         REAL NOT NULL,
      transfer_ms   REAL NOT NULL,
      latency_ms    REAL,
      claims_kept   REAL NOT NULL,
      claims_broken REAL NOT NULL,
      at_ms         INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX source_age ON source (at_ms);
  `)
}
