import type { Database } from 'better-sqlite3'

/**
 * Version 4: what this node's owner put into the vault. `sealed` is encrypted with a key from the owner secret (src/vault/owner/at-rest.ts,
 * docs/vault-format.md): whoever has the database alone learns how many objects and slabs there are, how large, and who holds them.
 */
export function createOwnerTables(db: Database): void {
  db.exec(`
    -- 'name_mark' finds the versions of a name: an HMAC of it. 'manifest' is the manifest's slab id, which is the link's.
    -- sealed: JSON of src/vault/owner/state.ts, ObjectSecrets.
    CREATE TABLE owner_object (
      id         TEXT PRIMARY KEY,
      name_mark  BLOB NOT NULL,
      version    INTEGER NOT NULL,
      state      TEXT NOT NULL CHECK (state IN ('putting', 'stored', 'degraded', 'deleting')),
      manifest   BLOB NOT NULL UNIQUE,
      created_ms INTEGER NOT NULL,
      sealed     BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX owner_object_name ON owner_object (name_mark, version);
    CREATE INDEX owner_object_created ON owner_object (created_ms, id);

    -- One row an attempt to make a slab, before its first piece leaves. 'position' is -1 for the manifest, else the place in
    -- the stream. 'open': under way; 'stored': every receipt is in; 'abandoned': to be deleted at its holders;
    -- 'deleting': deleted, but not by all holders yet. 'object' stays when the object is gone.
    -- sealed: the salt (32 bytes), the length of a seed (0 or 32) and the seed, then one byte a segment: its mode.
    CREATE TABLE owner_slab (
      id             BLOB PRIMARY KEY,
      object         TEXT NOT NULL,
      position       INTEGER NOT NULL,
      grp            BLOB NOT NULL,
      state          TEXT NOT NULL CHECK (state IN ('open', 'stored', 'abandoned', 'deleting')),
      k              INTEGER NOT NULL,
      n              INTEGER NOT NULL,
      column_bytes   INTEGER NOT NULL DEFAULT 0,
      index_hash     BLOB,
      lease_until_ms INTEGER NOT NULL,
      lease_sequence INTEGER NOT NULL,
      renew_ms       INTEGER NOT NULL,
      sealed         BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX owner_slab_object ON owner_slab (object, position);
    CREATE INDEX owner_slab_renew ON owner_slab (renew_ms, id) WHERE state = 'stored';
    CREATE INDEX owner_slab_state ON owner_slab (state, id) WHERE state <> 'stored';

    -- Who was sent a column, from before its first byte on. 'receipt' is null until it came; 'until_ms' is what the holder
    -- last confirmed of the lease; 'gone' is 1 once the holder confirmed the deletion.
    CREATE TABLE owner_column (
      slab     BLOB NOT NULL REFERENCES owner_slab ON DELETE CASCADE,
      col      INTEGER NOT NULL,
      peer     TEXT NOT NULL,
      receipt  BLOB,
      until_ms INTEGER NOT NULL DEFAULT 0,
      gone     INTEGER NOT NULL DEFAULT 0,
      PRIMARY KEY (slab, col, peer)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX owner_column_peer ON owner_column (peer);

    -- Objects that their owner deleted, so that merging another machine's state does not bring them back.
    CREATE TABLE owner_deleted (
      id    TEXT PRIMARY KEY,
      at_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Versions of the state that are kept as vault objects (docs/vault-format.md, "Owner's state").
    CREATE TABLE owner_version (
      version INTEGER PRIMARY KEY,
      slab    BLOB NOT NULL UNIQUE,
      made_ms INTEGER NOT NULL
    ) STRICT;
  `)
}
