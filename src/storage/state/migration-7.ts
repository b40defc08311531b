import type { Database } from 'better-sqlite3'

/** Version 7: peers that this node has been connected to. */
export function createPeerTable(db: Database): void {
  db.exec(`
    -- 'addresses': JSON, those first that were dialled with success last. 'failures_in_row' counts dials since the last
    -- connection. Bytes are data of the content, chunk and Bitswap protocols. 'latency_ms' and 'agent' are the last known.
    CREATE TABLE peer (
      peer            TEXT PRIMARY KEY,
      addresses       TEXT NOT NULL DEFAULT '[]',
      first_seen_ms   INTEGER NOT NULL,
      last_seen_ms    INTEGER NOT NULL,
      successes       INTEGER NOT NULL DEFAULT 0,
      failures        INTEGER NOT NULL DEFAULT 0,
      failures_in_row INTEGER NOT NULL DEFAULT 0,
      bytes_in        INTEGER NOT NULL DEFAULT 0,
      bytes_out       INTEGER NOT NULL DEFAULT 0,
      latency_ms      INTEGER,
      agent           TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX peer_seen ON peer (last_seen_ms);
  `)
}
