import type { Database } from 'better-sqlite3'

/**
 * Version 2: sealed columns that are kept for others (docs/column-format.md). Their bytes are files below HOME/columns. The
 * sums change with the rows, by triggers, so that no question ever adds up all rows.
 */
export function createColumnTables(db: Database): void {
  db.exec(`
    -- One row a slab. 'charged' is what it counts for: its file on the disk, and the row. 'depositor' is the peer whose
    -- share pays; NULL: the pool for repair. 'rotten' is 1 once its bytes are gone: it is not held, and counts for nothing,
    -- but its index stays the only one that is accepted.
    CREATE TABLE held_column (
      slab            BLOB PRIMARY KEY CHECK (length(slab) = 32),
      column_number   INTEGER NOT NULL,
      slab_group      BLOB NOT NULL,
      k               INTEGER NOT NULL,
      n               INTEGER NOT NULL,
      index_hash      BLOB NOT NULL,
      index_bytes     INTEGER NOT NULL,
      column_bytes    INTEGER NOT NULL,
      charged         INTEGER NOT NULL,
      until_ms        INTEGER NOT NULL,
      lease_sequence  INTEGER NOT NULL,
      lease_payload   BLOB NOT NULL,
      lease_signature BLOB NOT NULL,
      depositor       TEXT,
      stored_ms       INTEGER NOT NULL,
      rotten          INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX held_column_group ON held_column (slab_group, slab) WHERE rotten = 0;
    CREATE INDEX held_column_until ON held_column (until_ms);
    CREATE INDEX held_column_rotten ON held_column (slab) WHERE rotten = 1;

    -- What each depositor's columns count for; '' is the pool for repair, '*' everything. Peer ids are neither.
    CREATE TABLE column_sum (
      purse   TEXT PRIMARY KEY,
      charged INTEGER NOT NULL,
      columns INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO column_sum (purse, charged, columns) VALUES ('*', 0, 0), ('', 0, 0);
    CREATE TRIGGER held_column_added AFTER INSERT ON held_column WHEN new.rotten = 0 BEGIN
      UPDATE column_sum SET charged = charged + new.charged, columns = columns + 1 WHERE purse = '*';
      INSERT INTO column_sum (purse, charged, columns) VALUES (ifnull(new.depositor, ''), new.charged, 1)
        ON CONFLICT (purse) DO UPDATE SET charged = charged + excluded.charged, columns = columns + 1;
    END;
    CREATE TRIGGER held_column_removed AFTER DELETE ON held_column WHEN old.rotten = 0 BEGIN
      UPDATE column_sum SET charged = charged - old.charged, columns = columns - 1
        WHERE purse IN ('*', ifnull(old.depositor, ''));
      DELETE FROM column_sum WHERE columns = 0 AND purse = old.depositor;
    END;
    CREATE TRIGGER held_column_lost AFTER UPDATE OF rotten ON held_column WHEN old.rotten = 0 AND new.rotten = 1 BEGIN
      UPDATE column_sum SET charged = charged - old.charged, columns = columns - 1
        WHERE purse IN ('*', ifnull(old.depositor, ''));
      DELETE FROM column_sum WHERE columns = 0 AND purse = old.depositor;
    END;

    -- Owners' signed deletions. Ids are this node's own counter, by which others ask for what is new: never used again.
    CREATE TABLE column_tombstone (
      id            INTEGER PRIMARY KEY AUTOINCREMENT,
      slab          BLOB NOT NULL UNIQUE,
      payload       BLOB NOT NULL,
      signature     BLOB NOT NULL,
      keep_until_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX column_tombstone_until ON column_tombstone (keep_until_ms);

    -- 'unclean' is 1 while the store of columns is open: files without a row may lie about.
    CREATE TABLE column_meta (
      key   TEXT PRIMARY KEY,
      value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO column_meta (key, value) VALUES ('unclean', 0);
  `)
}
