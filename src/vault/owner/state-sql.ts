import type { Statement } from 'better-sqlite3'
import type { StateDatabase } from '../../storage/state/index.ts'
import type { ObjectState, SlabState } from './state.ts'

export interface ObjectRow {
  id: string
  version: number
  state: ObjectState
  manifest: Uint8Array
  created_ms: number
  sealed: Uint8Array
}

export interface SlabRow {
  id: Uint8Array
  object: string
  position: number
  grp: Uint8Array
  state: SlabState
  k: number
  n: number
  column_bytes: number
  index_hash: Uint8Array | null
  lease_until_ms: number
  lease_sequence: number
  sealed: Uint8Array
}

const OBJECT = 'id, version, state, manifest, created_ms, sealed'
const SLAB =
  'id, object, position, grp, state, k, n, column_bytes, index_hash, lease_until_ms, lease_sequence, sealed'
/** A receipt is a holder's signed word to its owner. A claim (one byte long) is anybody's, and counts only with a fresh proof. */
const COUNTS = `c.gone = 0 AND c.receipt IS NOT NULL AND (length(c.receipt) <> 1 OR EXISTS (SELECT 1 FROM column_proof p
  WHERE p.slab = c.slab AND p.column_number = c.col AND p.peer = c.peer AND p.proven_ms >= @provenSinceMs))`
/** How many columns of a slab count as held. */
const HELD = `SELECT count(DISTINCT c.col) FROM owner_column c WHERE c.slab = s.id AND ${COUNTS}`

/** The statements of the owner's tables (migration-4.ts); `state.ts` says what they are for. */
export function prepareOwnerStatements({ db }: StateDatabase) {
  const objects = <P extends unknown[]>(tail: string): Statement<P, ObjectRow> =>
    db.prepare(`SELECT ${OBJECT} FROM owner_object ${tail}`)
  const slabs = <P extends unknown[]>(tail: string): Statement<P, SlabRow> =>
    db.prepare(`SELECT ${SLAB} FROM owner_slab ${tail}`)
  return {
    insertObject: db.prepare(
      'INSERT INTO owner_object (id, name_mark, version, state, manifest, created_ms, sealed) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ),
    lastVersion: db.prepare<[Uint8Array], { version: number | null }>(
      'SELECT max(version) AS version FROM owner_object WHERE name_mark = ?',
    ),
    object: objects<[string]>('WHERE id = ?'),
    objectOfManifest: objects<[Uint8Array]>('WHERE manifest = ?'),
    objects: objects<[number]>('ORDER BY created_ms DESC, id DESC LIMIT ?'),
    objectsBefore: objects<[number, string, number]>(
      'WHERE (created_ms, id) < (?, ?) ORDER BY created_ms DESC, id DESC LIMIT ?',
    ),
    objectCount: db.prepare<[], { count: number }>('SELECT count(*) AS count FROM owner_object'),
    setSealed: db.prepare('UPDATE owner_object SET sealed = ? WHERE id = ?'),
    setObjectState: db.prepare('UPDATE owner_object SET state = ? WHERE id = ?'),
    removeObject: db.prepare('DELETE FROM owner_object WHERE id = ?'),

    anySlab: db.prepare('SELECT 1 FROM owner_slab LIMIT 1'),
    insertSlab: db.prepare(
      `INSERT INTO owner_slab (id, object, position, grp, state, k, n, column_bytes, index_hash, lease_until_ms,
       lease_sequence, renew_ms, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    slab: slabs<[Uint8Array]>('WHERE id = ?'),
    slabsOf: slabs<[string, number, number]>(
      `WHERE object = ? AND position > ? AND state IN ('open', 'stored') ORDER BY position LIMIT ?`,
    ),
    slabsInState: slabs<[string, Uint8Array, number]>('WHERE state = ? AND id > ? ORDER BY id LIMIT ?'),
    finishSlab: db.prepare(
      `UPDATE owner_slab SET state = 'stored', column_bytes = ?, index_hash = ?, sealed = ? WHERE id = ?`,
    ),
    setSlabState: db.prepare('UPDATE owner_slab SET state = ? WHERE id = ?'),
    abandonFrom: db.prepare(
      `UPDATE owner_slab SET state = 'abandoned' WHERE object = ? AND (position >= ? OR state = 'open')
       AND state IN ('open', 'stored') AND position >= 0`,
    ),
    abandonAll: db.prepare(
      `UPDATE owner_slab SET state = 'abandoned' WHERE object = ? AND state IN ('open', 'stored')`,
    ),
    deleteAll: db.prepare(`UPDATE owner_slab SET state = 'deleting' WHERE object = ?`),
    deletingOf: slabs<[string, Uint8Array, number]>(
      `WHERE object = ? AND state = 'deleting' AND id > ? ORDER BY id LIMIT ?`,
    ),
    isDeleted: db.prepare('SELECT 1 FROM owner_deleted WHERE id = ?'),
    deleted: db.prepare<[string, number], { id: string; atMs: number }>(
      'SELECT id, at_ms AS atMs FROM owner_deleted WHERE id > ? ORDER BY id LIMIT ?',
    ),
    versions: db.prepare<[number], { version: number; slab: Uint8Array }>(
      'SELECT version, slab FROM owner_version ORDER BY version DESC LIMIT ?',
    ),
    insertVersion: db.prepare(
      'INSERT INTO owner_version (version, slab, made_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    removeVersion: db.prepare('DELETE FROM owner_version WHERE version = ?'),
    removeDeleted: db.prepare(
      `DELETE FROM owner_object WHERE state = 'deleting' AND NOT EXISTS
       (SELECT 1 FROM owner_slab s WHERE s.object = owner_object.id)`,
    ),
    noteDeleted: db.prepare('INSERT INTO owner_deleted (id, at_ms) VALUES (?, ?) ON CONFLICT DO NOTHING'),

    setLease: db.prepare(
      'UPDATE owner_slab SET lease_until_ms = ?, lease_sequence = max(lease_sequence, ?), renew_ms = ? WHERE id = ?',
    ),
    setSequence: db.prepare('UPDATE owner_slab SET lease_sequence = ? WHERE id = ?'),
    setRenewal: db.prepare('UPDATE owner_slab SET lease_sequence = ?, renew_ms = ? WHERE id = ?'),
    due: slabs<[number, number]>(`WHERE state = 'stored' AND renew_ms <= ? ORDER BY renew_ms, id LIMIT ?`),
    nextRenewal: db.prepare<[], { at: number | null }>(
      `SELECT min(renew_ms) AS at FROM owner_slab WHERE state = 'stored'`,
    ),
    soonest: db.prepare<[], { at: number | null }>(
      `SELECT min(lease_until_ms) AS at FROM owner_slab WHERE state = 'stored'`,
    ),
    soonestOf: db.prepare<[string], { at: number | null }>(
      `SELECT min(lease_until_ms) AS at FROM owner_slab WHERE object = ? AND state = 'stored'`,
    ),
    removeSlab: db.prepare('DELETE FROM owner_slab WHERE id = ?'),

    insertColumn: db.prepare(
      'INSERT INTO owner_column (slab, col, peer) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    setReceipt: db.prepare(
      `INSERT INTO owner_column (slab, col, peer, receipt, until_ms) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET receipt = excluded.receipt, until_ms = excluded.until_ms, gone = 0`,
    ),
    setColumnLease: db.prepare('UPDATE owner_column SET until_ms = ? WHERE slab = ? AND peer = ?'),
    setGone: db.prepare('UPDATE owner_column SET gone = 1 WHERE slab = ? AND peer = ?'),
    promisedBy: db.prepare<[string, number, Uint8Array, number], { slab: Uint8Array; column: number }>(
      `SELECT c.slab, c.col AS column FROM owner_column c JOIN owner_slab s ON s.id = c.slab
       WHERE c.peer = ? AND c.gone = 0 AND length(c.receipt) > 1 AND c.until_ms > ? AND s.state = 'stored' AND c.slab > ?
       ORDER BY c.slab LIMIT ?`,
    ),
    addClaim: db.prepare(
      `INSERT INTO owner_column (slab, col, peer, receipt, until_ms) VALUES (?, ?, ?, x'01', 0)
       ON CONFLICT DO UPDATE SET receipt = coalesce(receipt, excluded.receipt), gone = 0`,
    ),
    columnsOf: db.prepare<
      { slab: Uint8Array; limit: number; provenSinceMs: number },
      {
        slab: Uint8Array
        column: number
        peer: string
        receipt: Uint8Array | null
        untilMs: number
        gone: number
        counts: number
      }
    >(
      `SELECT slab, col AS column, peer, receipt, until_ms AS untilMs, gone, ${COUNTS} AS counts FROM owner_column c
       WHERE slab = @slab ORDER BY col, peer LIMIT @limit`,
    ),
    usageOf: db.prepare<
      { object: string; provenSinceMs: number },
      { stored: number; holders: number; missing: number }
    >(
      `SELECT coalesce(sum(column_bytes * held), 0) AS stored, coalesce(sum(n - held), 0) AS missing,
       (SELECT count(DISTINCT c.peer) FROM owner_slab s JOIN owner_column c ON c.slab = s.id
        WHERE s.object = @object AND s.state = 'stored' AND ${COUNTS}) AS holders
       FROM (SELECT column_bytes, n, (${HELD}) AS held FROM owner_slab s WHERE object = @object AND state = 'stored')`,
    ),
    degraded: db.prepare<{ provenSinceMs: number }, { count: number }>(
      `SELECT count(*) AS count FROM owner_slab s WHERE state = 'stored' AND (${HELD}) < n`,
    ),
  }
}
