import type { Database } from 'better-sqlite3'

/** Version 5: when columns that this node does not hold were last proven to it. Slabs are 32 bytes. */
export function createProofTable(db: Database): void {
  db.exec(`
    CREATE TABLE column_proof (
      slab          BLOB NOT NULL,
      column_number INTEGER NOT NULL,
      peer          TEXT NOT NULL,
      proven_ms     INTEGER NOT NULL,
      PRIMARY KEY (slab, column_number, peer)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX column_proof_age ON column_proof (proven_ms);
  `)
}
