import type { Database } from 'better-sqlite3'

/** Version 6: what was last measured of each of the owner's objects. */
export function createHealthTable(db: Database): void {
  db.exec(`
    CREATE TABLE owner_health (
      object      TEXT PRIMARY KEY,
      state       TEXT NOT NULL CHECK (state IN ('healthy', 'degraded', 'critical', 'lost')),
      measured_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
  `)
}
