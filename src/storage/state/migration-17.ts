import type { Database } from 'better-sqlite3'

/** Version 17: the public catalogue. */
export function createCatalogTables(db: Database): void {
  db.exec(`
    -- Who publishes. 'highest' is the greatest sequence that was ever taken, 'highest_id' the id of that record; 'head' is that
    -- of the head that was last found in the DHT. 'entries', 'records' and 'bytes' count the rows below.
    CREATE TABLE catalog_publisher (
      id         INTEGER PRIMARY KEY,
      key        BLOB NOT NULL UNIQUE,
      peer       TEXT NOT NULL UNIQUE,
      highest    INTEGER NOT NULL DEFAULT 0,
      highest_id BLOB,
      head       INTEGER NOT NULL DEFAULT 0,
      forked     INTEGER NOT NULL DEFAULT 0,
      entries    INTEGER NOT NULL DEFAULT 0,
      records    INTEGER NOT NULL DEFAULT 0,
      bytes      INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX catalog_publisher_bytes ON catalog_publisher (bytes);

    -- Records that hold, without their texts: what searches look through. 'kind' is NULL for a withdrawal.
    CREATE TABLE catalog_record (
      n         INTEGER PRIMARY KEY,
      publisher INTEGER NOT NULL,
      sequence  INTEGER NOT NULL,
      id        BLOB NOT NULL UNIQUE,
      kind      INTEGER,
      mime      TEXT NOT NULL,
      until_ms  INTEGER NOT NULL,
      bytes     INTEGER NOT NULL,
      UNIQUE (publisher, sequence)
    ) STRICT;
    CREATE INDEX catalog_record_until ON catalog_record (until_ms);

    -- The same as they were signed.
    CREATE TABLE catalog_body (
      n         INTEGER PRIMARY KEY,
      previous  BLOB,
      payload   BLOB NOT NULL,
      signature BLOB NOT NULL
    ) STRICT;

    -- Entries that are withdrawn, here or not; 'by' is the withdrawal's row.
    CREATE TABLE catalog_withdrawn (
      publisher INTEGER NOT NULL,
      sequence  INTEGER NOT NULL,
      by        INTEGER NOT NULL,
      PRIMARY KEY (publisher, sequence, by)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX catalog_withdrawn_by ON catalog_withdrawn (by);

    -- The words of entries, and their beginnings of two and three characters. It keeps an index alone: the texts are in the bodies.
    CREATE VIRTUAL TABLE catalog_text USING fts5 (
      title, description, tags,
      content = '', contentless_delete = 1, prefix = '2 3', tokenize = 'unicode61 remove_diacritics 2'
    );
  `)
}
