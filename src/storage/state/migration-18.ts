import type { Database } from 'better-sqlite3'

/** Version 18: what peers say of each other. */
export function createRecommendationTables(db: Database): void {
  db.exec(`
    -- What this node said last of each peer, as it was signed. 'id' grows with every change: others ask for what came after one.
    CREATE TABLE recommendation_told (
      id        INTEGER PRIMARY KEY AUTOINCREMENT,
      subject   TEXT NOT NULL,
      view      TEXT NOT NULL,
      score     REAL NOT NULL,
      evidence  INTEGER NOT NULL,
      by_hand   INTEGER NOT NULL,
      at_ms     INTEGER NOT NULL,
      sequence  TEXT NOT NULL,
      payload   BLOB NOT NULL,
      signature BLOB NOT NULL,
      UNIQUE (subject, view)
    ) STRICT;

    -- What others said. 'sequence' is a number of up to 64 bits; 'network_range' is where its author was connected from.
    CREATE TABLE recommendation_heard (
      author        TEXT NOT NULL,
      subject       TEXT NOT NULL,
      view          TEXT NOT NULL,
      score         REAL NOT NULL,
      evidence      INTEGER NOT NULL,
      at_ms         INTEGER NOT NULL,
      sequence      TEXT NOT NULL,
      network_range TEXT NOT NULL,
      payload       BLOB NOT NULL,
      signature     BLOB NOT NULL,
      PRIMARY KEY (author, subject, view)
    ) STRICT, WITHOUT ROWID;
  `)
}
