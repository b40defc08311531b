import type { Database } from 'better-sqlite3'

/** Version 19: webhooks, and the messages that wait for them. */
export function createHookTables(db: Database): void {
  db.exec(`
    -- 'failing_since_ms' is the first failure since something was taken; 'disabled_ms' is when it was given up.
    CREATE TABLE message_hook (
      id                INTEGER PRIMARY KEY AUTOINCREMENT,
      topic             TEXT NOT NULL,
      url               TEXT NOT NULL,
      secret            BLOB NOT NULL,
      created_ms        INTEGER NOT NULL,
      failing_since_ms  INTEGER,
      disabled_ms       INTEGER,
      problem           TEXT,
      last_delivered_ms INTEGER,
      delivered         INTEGER NOT NULL DEFAULT 0,
      dropped           INTEGER NOT NULL DEFAULT 0,
      refused           INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    -- In the order in which they were heard. 'sequence' is a number of up to 64 bits.
    CREATE TABLE message_delivery (
      id       INTEGER PRIMARY KEY AUTOINCREMENT,
      hook     INTEGER NOT NULL REFERENCES message_hook ON DELETE CASCADE,
      sender   TEXT NOT NULL,
      direct   INTEGER NOT NULL,
      sequence TEXT NOT NULL,
      time_ms  INTEGER NOT NULL,
      payload  BLOB NOT NULL,
      heard_ms INTEGER NOT NULL,
      refusals INTEGER NOT NULL DEFAULT 0,
      UNIQUE (hook, sender, sequence)
    ) STRICT;
    CREATE INDEX message_delivery_hook ON message_delivery (hook, id);
  `)
}
