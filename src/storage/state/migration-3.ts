import type { Database } from 'better-sqlite3'

/** Version 3: what a holder knows of those who hold other columns of the same slabs. Slabs and groups are 32 bytes. */
export function createHolderTables(db: Database): void {
  db.exec(`
    -- Peers that keep, or are said to keep, columns of a group of which this node keeps some. 'answered_ms' is when one
    -- last said so itself, NULL where others said it.
    CREATE TABLE co_holder (
      slab_group  BLOB NOT NULL,
      peer        TEXT NOT NULL,
      told_ms     INTEGER NOT NULL,
      answered_ms INTEGER,
      PRIMARY KEY (slab_group, peer)
    ) STRICT, WITHOUT ROWID;

    -- Columns of others that this node audits and that were not proven at the last looks. All others were: they have no row.
    CREATE TABLE column_doubt (
      slab          BLOB NOT NULL,
      column_number INTEGER NOT NULL,
      misses        INTEGER NOT NULL,
      since_ms      INTEGER NOT NULL,
      PRIMARY KEY (slab, column_number)
    ) STRICT, WITHOUT ROWID;

    -- How far each peer's tombstones were fetched: its own counter, and the hash of the one at it, by which a peer is known that
    -- began to count anew.
    CREATE TABLE tombstone_counter (
      peer     TEXT PRIMARY KEY,
      after    INTEGER NOT NULL,
      mark     BLOB NOT NULL,
      asked_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tombstone_counter_asked ON tombstone_counter (asked_ms);
  `)
}
