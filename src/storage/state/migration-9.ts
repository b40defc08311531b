import type { Database } from 'better-sqlite3'

/** Version 9: names that this node publishes, and records of names that it has seen. Names are base36 CIDs of keys. */
export function createNameTables(db: Database): void {
  db.exec(`
    -- Keys besides the node's own. 'sealed': the secret, under the identity.
    CREATE TABLE name_key (
      key        TEXT PRIMARY KEY,
      name       TEXT NOT NULL UNIQUE,
      sealed     BLOB NOT NULL,
      created_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- The number that was given out last for a name, in decimal: it may pass what SQLite's integers hold. Never deleted.
    CREATE TABLE name_sequence (
      name     TEXT PRIMARY KEY,
      sequence TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- What this node publishes. 'key' is 'self' for the node's own.
    CREATE TABLE name_published (
      name        TEXT PRIMARY KEY,
      key         TEXT NOT NULL UNIQUE,
      value       TEXT NOT NULL,
      lifetime_ms INTEGER NOT NULL,
      ttl_ms      INTEGER NOT NULL,
      told        INTEGER NOT NULL DEFAULT 0,
      problem     TEXT
    ) STRICT, WITHOUT ROWID;

    -- The best record of each name. 'checked_ms' is when the network was last asked for it; 'next_ms' when peers are told of
    -- it again, NULL for records that were only seen.
    CREATE TABLE name_record (
      name           TEXT PRIMARY KEY,
      record         BLOB NOT NULL,
      valid_until_ms INTEGER NOT NULL,
      checked_ms     INTEGER NOT NULL,
      next_ms        INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX name_record_next ON name_record (next_ms) WHERE next_ms IS NOT NULL;
    CREATE INDEX name_record_checked ON name_record (checked_ms) WHERE next_ms IS NULL;
  `)
}
