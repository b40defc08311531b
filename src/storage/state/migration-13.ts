import type { Database } from 'better-sqlite3'

/** Version 13: what was heard of whom, so that a message is taken once. */
export function createMessageTable(db: Database): void {
  db.exec(`
    -- 'highest': the greatest sequence number taken, as decimal text, since it may take 64 bits.
    CREATE TABLE message_sender (
      sender     TEXT PRIMARY KEY,
      highest    TEXT NOT NULL,
      updated_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX message_sender_updated ON message_sender (updated_ms);
  `)
}
