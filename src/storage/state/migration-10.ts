import type { Database } from 'better-sqlite3'

/** Version 10: what is known of each peer, and the chain through the evidence. */
export function createTrustTables(db: Database): void {
  db.exec(`
    -- 'account': JSON, sums of evidence as they were at 'updated_ms'. 'override': what the operator said. 'ban': JSON.
    CREATE TABLE trust_peer (
      peer       TEXT PRIMARY KEY,
      account    TEXT NOT NULL,
      override   REAL,
      ban        TEXT,
      updated_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX trust_peer_updated ON trust_peer (updated_ms);

    -- SHA-256 over the entry and the hash of the one before it; null until its minute is over.
    ALTER TABLE evidence ADD COLUMN hash BLOB;
  `)
}
