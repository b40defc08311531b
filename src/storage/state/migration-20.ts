import type { Database } from 'better-sqlite3'

/** Version 20: who was put out of the swarm after an invitation was made, and a swarm that is being made. */
export function createSwarmOrder(db: Database): void {
  db.exec(`
    -- 'outs' counts how often this node heard that somebody is out while an invitation was open: an order that no clock changes.
    ALTER TABLE swarm ADD COLUMN outs INTEGER NOT NULL DEFAULT 0;
    -- The first count that is after the invitation. Those from before this was kept have 0: every 'out' is after them.
    ALTER TABLE swarm_invitation ADD COLUMN made_before INTEGER NOT NULL DEFAULT 0;
    -- The count at which a peer was last put out. Of those without a row it was before every open invitation that has a count.
    CREATE TABLE swarm_out (
      subject BLOB PRIMARY KEY,
      at      INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- The public key of an owner's key that was made for a swarm that is not there yet. At most one row.
    CREATE TABLE swarm_planned (
      one INTEGER PRIMARY KEY CHECK (one = 1),
      key BLOB NOT NULL
    ) STRICT;
  `)
}
