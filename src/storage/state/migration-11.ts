import type { Database } from 'better-sqlite3'

/** Version 11: pin policies, what they keep, and what nodes promised each other to keep. */
export function createPolicyTables(db: Database): void {
  db.exec(`
    -- 'rule': JSON of src/content/policy/types.ts, PolicyRule.
    CREATE TABLE pin_policy (
      id         INTEGER PRIMARY KEY AUTOINCREMENT,
      rule       TEXT NOT NULL,
      created_ms INTEGER NOT NULL
    ) STRICT;

    -- What a policy has fetched or pinned. 'policy' 0: fetched since it was announced, and not pinned. 'bytes' counts towards its
    -- budget; 'kept' is 0 until it is all there.
    CREATE TABLE policy_item (
      policy   INTEGER NOT NULL,
      cid      BLOB NOT NULL,
      peer     TEXT NOT NULL,
      bytes    INTEGER NOT NULL,
      kept     INTEGER NOT NULL,
      at_ms    INTEGER NOT NULL,
      until_ms INTEGER,
      PRIMARY KEY (policy, cid)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX policy_item_until ON policy_item (until_ms) WHERE until_ms IS NOT NULL;

    -- What this node promised to keep for others.
    CREATE TABLE keep_promise (
      cid      BLOB NOT NULL,
      peer     TEXT NOT NULL,
      bytes    INTEGER NOT NULL,
      at_ms    INTEGER NOT NULL,
      until_ms INTEGER NOT NULL,
      PRIMARY KEY (cid, peer)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX keep_promise_until ON keep_promise (until_ms);

    -- Copies of this node's content that others promised to keep. 'payload' and 'signature' are the promise as the holder signed
    -- it; 'proven_ms' is when a block of it was last fetched from there.
    CREATE TABLE content_copy (
      cid       BLOB NOT NULL,
      peer      TEXT NOT NULL,
      at_ms     INTEGER NOT NULL,
      until_ms  INTEGER NOT NULL,
      proven_ms INTEGER,
      seen_ms   INTEGER NOT NULL,
      payload   BLOB NOT NULL,
      signature BLOB NOT NULL,
      PRIMARY KEY (cid, peer)
    ) STRICT, WITHOUT ROWID;
  `)
}
