import type { Database } from 'better-sqlite3'

/** Version 14: what others asked this node to pin, over the Pinning Service API. */
export function createPinRequestTable(db: Database): void {
  db.exec(`
    -- 'cid' is as it was asked for, 'cid_v1' the same as version 1 in base32, by which it is found; 'name_folded' without case.
    -- 'origins' and 'meta' are JSON. 'created_ms' is unique: pages are cut at it. 'job' is the job under way, 'next_ms' when the
    -- next one begins; both NULL once the request is pinned or failed.
    CREATE TABLE pin_request (
      id          TEXT PRIMARY KEY,
      cid         TEXT NOT NULL,
      cid_v1      TEXT NOT NULL,
      name        TEXT,
      name_folded TEXT,
      origins     TEXT NOT NULL,
      meta        TEXT,
      status      TEXT NOT NULL,
      reason      TEXT,
      created_ms  INTEGER NOT NULL UNIQUE,
      tries       INTEGER NOT NULL DEFAULT 0,
      job         TEXT,
      next_ms     INTEGER
    ) STRICT;
    CREATE INDEX pin_request_status ON pin_request (status, created_ms);
    CREATE INDEX pin_request_cid ON pin_request (cid_v1);
    CREATE INDEX pin_request_next ON pin_request (next_ms) WHERE next_ms IS NOT NULL;
  `)
}
