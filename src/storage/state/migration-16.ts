import type { Database } from 'better-sqlite3'

/** Version 16: the private network that this node is a member of, its list, and the invitations to it. */
export function createSwarmTables(db: Database): void {
  db.exec(`
    -- At most one row: a node is in one swarm. 'key' is the owner's public key.
    CREATE TABLE swarm (
      one      INTEGER PRIMARY KEY CHECK (one = 1),
      key      BLOB NOT NULL,
      since_ms INTEGER NOT NULL
    ) STRICT;
    -- 'bytes' is a signed statement (protocols/swarm/SPEC.md), 'id' its SHA-256.
    CREATE TABLE swarm_statement (
      id    BLOB PRIMARY KEY,
      bytes BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- Where members were when this node joined.
    CREATE TABLE swarm_contact (
      address TEXT PRIMARY KEY
    ) STRICT, WITHOUT ROWID;
    -- 'digest' is the SHA-256 of the secret, which is nowhere; 'id' its first 16 hexadecimal digits.
    CREATE TABLE swarm_invitation (
      id         TEXT PRIMARY KEY,
      digest     BLOB NOT NULL UNIQUE,
      name       TEXT NOT NULL,
      standing   TEXT NOT NULL,
      created_ms INTEGER NOT NULL,
      expires_ms INTEGER NOT NULL,
      used_ms    INTEGER,
      used_by    TEXT
    ) STRICT, WITHOUT ROWID;
  `)
}
