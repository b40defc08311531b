import type { Database } from 'better-sqlite3'
import { type Link, MalformedBlockError } from './links.ts'
import { WORK_ASIDE, WORK_COUNT } from './states.ts'
import type { WalkReader } from './walk-reader.ts'

type Verdict =
  | { state: 'whole' }
  /** Not done yet, or there is more to count: ask again. */
  | { state: 'unsure' }
  | { state: 'lost'; block: Uint8Array; malformed: string | null }

/**
 * Reads a counted DAG through once more where counting alone does not tell that it is whole: while some counted block is
 * quarantined, or the links of some could not be read. Its visits are in a temporary table, so that memory stays
 * bounded; after a crash, or a failed transaction, it starts again.
 */
export interface Audit {
  check(pin: { id: number; cid: Uint8Array }, deadlineMs: number): Verdict
  reset(): void
}

export function createAudit(db: Database, reader: WalkReader, now: () => number): Audit {
  const hasMissing = db.prepare<[], number>('SELECT 1 FROM block WHERE place = 2 LIMIT 1').pluck()
  const hasAside = db
    .prepare<[], number>(`SELECT 1 FROM ref_work WHERE delta = ${WORK_ASIDE} LIMIT 1`)
    .pluck()
  const resume = db.prepare<[number, Uint8Array]>(
    `UPDATE ref_work SET delta = ${WORK_COUNT}, pin = ? WHERE cid = ? AND delta = ${WORK_ASIDE}`,
  )
  db.exec('CREATE TEMP TABLE pin_audit (id INTEGER PRIMARY KEY, cid BLOB NOT NULL UNIQUE) STRICT')
  const visit = db.prepare<[Uint8Array]>(
    'INSERT INTO temp.pin_audit (cid) VALUES (?) ON CONFLICT (cid) DO NOTHING',
  )
  const after = db.prepare<[number], { id: number; cid: Uint8Array }>(
    'SELECT id, cid FROM temp.pin_audit WHERE id > ? ORDER BY id LIMIT 1',
  )
  const clear = db.prepare('DELETE FROM temp.pin_audit')
  let position: { pin: number; visitedId: number; linkIndex: number } | undefined

  function readThrough(pin: number, deadlineMs: number): Verdict {
    position ??= { pin, visitedId: 0, linkIndex: 0 }
    for (let node = after.get(position.visitedId); node !== undefined; node = after.get(position.visitedId)) {
      // Its links could not be read when it was last met: they are not all counted.
      if (resume.run(pin, node.cid).changes > 0) {
        position = undefined
        return { state: 'unsure' }
      }
      let links: readonly Link[] | undefined
      try {
        links = reader.links(node.cid)
      } catch (error) {
        if (!(error instanceof MalformedBlockError)) throw error
        return { state: 'lost', block: node.cid, malformed: error.message }
      }
      if (links === undefined || !reader.holds(node.cid))
        return { state: 'lost', block: node.cid, malformed: null }
      for (; position.linkIndex < links.length; position.linkIndex++) {
        if (now() >= deadlineMs) return { state: 'unsure' }
        const link = links[position.linkIndex] as Link
        if (!reader.held(link.mh)) return { state: 'lost', block: link.key, malformed: null }
        if (!link.leaf) visit.run(link.key)
      }
      position = { pin, visitedId: node.id, linkIndex: 0 }
    }
    return { state: 'whole' }
  }

  return {
    check(pin, deadlineMs) {
      if (hasMissing.get() !== 1 && hasAside.get() !== 1) return { state: 'whole' }
      if (position?.pin !== pin.id) {
        clear.run()
        visit.run(pin.cid)
        position = undefined
      }
      const verdict = readThrough(pin.id, deadlineMs)
      if (verdict.state !== 'unsure') position = undefined
      return verdict
    },
    reset() {
      position = undefined
    },
  }
}
