import type { Database } from 'better-sqlite3'

/**
 * Version 1: everything the daemon keeps but blocks and columns. Times are milliseconds since the Unix epoch; JSON is
 * text. Peers are named by the text form of their peer id.
 */
export function createTables(db: Database): void {
  db.exec(`
    -- What libp2p and Helia keep: peers, DHT records. Written behind a cache (datastore.ts).
    CREATE TABLE datastore (
      key   TEXT PRIMARY KEY,
      value BLOB NOT NULL
    ) STRICT;

    -- One row a job. 'cleanup' is 1 while discard() of an ended job has not succeeded yet.
    CREATE TABLE job (
      id         TEXT PRIMARY KEY,
      kind       TEXT NOT NULL,
      state      TEXT NOT NULL CHECK (state IN ('queued', 'running', 'waiting', 'needs-source', 'done', 'failed', 'cancelled')),
      title      TEXT NOT NULL,
      params     TEXT NOT NULL,
      progress   TEXT,
      reason     TEXT,
      result     TEXT,
      error      TEXT,
      cleanup    INTEGER NOT NULL DEFAULT 0,
      created_ms INTEGER NOT NULL,
      updated_ms INTEGER NOT NULL,
      ended_ms   INTEGER
    ) STRICT;
    CREATE INDEX job_state ON job (state, id);
    CREATE INDEX job_kind ON job (kind, id);
    CREATE INDEX job_ended ON job (ended_ms) WHERE ended_ms IS NOT NULL;
    CREATE INDEX job_cleanup ON job (id) WHERE cleanup = 1;

    -- Apart from job, so that a list of jobs never reads checkpoints (up to 1 MiB each).
    CREATE TABLE job_checkpoint (
      job_id TEXT PRIMARY KEY REFERENCES job ON DELETE CASCADE,
      value  TEXT NOT NULL
    ) STRICT;

    -- 'total' is the whole size once the client said that no byte follows; 'idle_since_ms' says since when nobody has
    -- sent bytes; 'open' is 1 until the job ends, and then at most one session holds a fingerprint.
    CREATE TABLE upload (
      id            TEXT PRIMARY KEY,
      job_id        TEXT NOT NULL UNIQUE REFERENCES job ON DELETE CASCADE,
      kind          TEXT NOT NULL,
      fingerprint   TEXT NOT NULL,
      size          INTEGER,
      committed     INTEGER NOT NULL DEFAULT 0,
      total         INTEGER,
      idle_since_ms INTEGER,
      open          INTEGER NOT NULL DEFAULT 1
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX upload_open ON upload (kind, fingerprint) WHERE open = 1;

    -- API tokens. 'hash' is the SHA-256 of the token, which itself is never stored.
    CREATE TABLE token (
      id           TEXT PRIMARY KEY,
      name         TEXT NOT NULL,
      scope        TEXT NOT NULL CHECK (scope IN ('read', 'write', 'admin')),
      hash         BLOB NOT NULL UNIQUE,
      created_ms   INTEGER NOT NULL,
      last_used_ms INTEGER
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE peer_list (
      peer     TEXT NOT NULL,
      list     TEXT NOT NULL CHECK (list IN ('block', 'allow')),
      reason   TEXT,
      since_ms INTEGER NOT NULL,
      PRIMARY KEY (list, peer)
    ) STRICT, WITHOUT ROWID;

    -- Ids grow with time, so the oldest rows are the lowest ids and retention deletes from that end. 'count' says how
    -- often the same thing was seen in a row; 'at_ms' is the last time.
    CREATE TABLE evidence (
      id     INTEGER PRIMARY KEY AUTOINCREMENT,
      peer   TEXT NOT NULL,
      kind   TEXT NOT NULL,
      detail TEXT NOT NULL DEFAULT '{}',
      at_ms  INTEGER NOT NULL,
      count  INTEGER NOT NULL DEFAULT 1
    ) STRICT;
    CREATE INDEX evidence_peer ON evidence (peer, id);
    CREATE INDEX evidence_age ON evidence (at_ms);

    CREATE TABLE setting (
      key   TEXT PRIMARY KEY,
      value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
  `)
}
