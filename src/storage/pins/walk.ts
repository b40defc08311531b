import type { Database } from 'better-sqlite3'
import { CID } from 'multiformats/cid'
import type { WriterContext } from '../blocks/operations.ts'
import { type Audit, createAudit } from './audit.ts'
import { type Link, MalformedBlockError, toLink } from './links.ts'
import { createReferences, type References, type WorkEntry } from './references.ts'
import {
  STATE_PINNED,
  STATE_UNPINNING,
  STATE_WAITING,
  STATE_WALKING,
  WORK_ASIDE,
  WORK_COUNT,
  WORK_UNCOUNT,
} from './states.ts'
import { createWalkReader, type WalkReader } from './walk-reader.ts'

/*
 * The order of the work, and why a pin that is called pinned is counted to its last block.
 *
 * Recursive pins are walked one after another, in the order of their ids: at most one is WALKING, W. Entries with delta
 * 1 (links still to be counted) are W's, or belong to a pin whose walk failed and which is being undone. The next walk
 * starts when there is no entry with delta 1. Entries with delta -1 are worked off beside it, a quarter of the steps.
 *
 * (5) When there is no W and no entry with delta 1, every p with C(p) > 0 has all its links counted: the other entries
 *     have C(p) = 0, those set aside excepted. This holds again each time a walk starts, so whatever W meets that is
 *     counted already is counted all the way down, or on the way there by W's own entries. Work with delta -1 cannot
 *     undo that: it reaches only references whose count falls to 0, and what W counted has its edge from W.
 * (6) So when W's last entry with delta 1 is gone, W's DAG is counted. It is also held, if every block met was held and
 *     no block counted before has been lost since: a lost one is a row with place 2, and while there is one, or an entry
 *     set aside, W's DAG is read through once more before it is called pinned (audit.ts).
 *
 * The price of (5) is that a small pin waits for a large one before it. A walk makes some 25 000 blocks a second (measured);
 * walking side by side would need to know which walk waits for which part of another.
 */

/** How long one transaction of the walk works, so that a put waits no longer behind it. */
const STEP_BUDGET_MS = 8

/** Beside a walk, every so many-th step uncounts, so that unpinning goes on while pins come without a pause. */
const UNCOUNT_TURN = 4

export type WalkEvent =
  | { type: 'pinned'; pin: number }
  | { type: 'failed'; pin: number; root: Uint8Array; block: Uint8Array; malformed: string | null }
  | { type: 'removed'; pin: number }
  | { type: 'set-aside'; block: Uint8Array }

export interface StepResult {
  events: WalkEvent[]
  /** How many references were counted, by pin. */
  counted: Map<number, number>
  /** Whether there is more to do. */
  more: boolean
  /** See `References.anomalies`. */
  anomalies: number
}

/** For tests, which cut the work into steps of their own. */
export interface WalkOptions {
  stepBudgetMs?: () => number
  now?: () => number
}

export interface Walk {
  readonly references: References
  readonly reader: WalkReader
  step(): StepResult
  /** Takes up entries that were set aside and whose block can be read again; also to be called after a crash. */
  retry(): void
  /** Uncounts the root of a pin that is walked or pinned; the row goes when all is uncounted, at once if that is now. */
  remove(pin: { id: number; cid: Uint8Array }): 'removed' | 'removing'
}

export function createWalk(
  db: Database,
  context: WriterContext,
  { stepBudgetMs = () => STEP_BUDGET_MS, now = () => performance.now() }: WalkOptions = {},
): Walk {
  /** Pins of which an entry is gone, maybe the last one. Lost in a crash, for which `retry` makes up. */
  const suspects = new Set<number>()
  const references = createReferences(db, (pin) => suspects.add(pin))
  const reader = createWalkReader(db)
  const audit: Audit = createAudit(db, reader, now)

  const pinInState = db.prepare<[number], { id: number; cid: Uint8Array }>(
    'SELECT id, cid FROM pin WHERE state <> 2 AND state = ? ORDER BY id LIMIT 1',
  )
  const unfinished = db
    .prepare<[], number>('SELECT 1 FROM pin WHERE state <> 2 AND state < 2 LIMIT 1')
    .pluck()
  const unpinning = db
    .prepare<[], number>(`SELECT id FROM pin WHERE state <> 2 AND state = ${STATE_UNPINNING}`)
    .pluck()
  const setState = db.prepare<[number, number]>('UPDATE pin SET state = ? WHERE id = ?')
  const stateOf = db.prepare<[number], number>('SELECT state FROM pin WHERE id = ?').pluck()
  const deletePin = db.prepare<[number]>('DELETE FROM pin WHERE id = ?')
  const oldestPin = db
    .prepare<[number], number | null>('SELECT min(pin) FROM ref_work WHERE delta = ?')
    .pluck()
  // The newest entry first: depth first, which keeps the queue as short as the DAG is deep, times its width.
  const nextEntry = db.prepare<[number, number], WorkEntry>(
    `SELECT id, cid, delta, applied, pin FROM ref_work WHERE delta = ? AND pin = ? ORDER BY id DESC LIMIT 1`,
  )
  const hasEntry = db
    .prepare<[number, number], number>('SELECT 1 FROM ref_work WHERE delta = ? AND pin = ? LIMIT 1')
    .pluck()
  const asideEntries = db.prepare<[], WorkEntry & { count: number }>(
    `SELECT w.id, w.cid, w.delta, w.applied, w.pin, r.count FROM ref_work w
     JOIN ref r ON r.cid = w.cid AND r.deep = 1 WHERE w.delta = ${WORK_ASIDE}`,
  )
  const retake = db.prepare<[number]>(`UPDATE ref_work SET delta = ${WORK_UNCOUNT} WHERE id = ?`)
  const abandon = db.prepare(`UPDATE ref_work SET delta = ${WORK_ASIDE} WHERE delta = ${WORK_COUNT}`)

  let steps = 0

  function hasWork(delta: number): boolean {
    return typeof oldestPin.get(delta) === 'number'
  }

  /** One transaction of work. */
  function runStep(deadlineMs: number, events: WalkEvent[]): Map<number, number> {
    const counted = new Map<number, number>()
    const uncountFirst = ++steps % UNCOUNT_TURN === 0 && hasWork(WORK_UNCOUNT)
    while (now() < deadlineMs) {
      const walking = pinInState.get(STATE_WALKING)
      if (walking !== undefined && !uncountFirst) {
        advance(walking, deadlineMs, events, counted)
        continue
      }
      if (walking === undefined && !hasWork(WORK_COUNT)) {
        const next = uncountFirst ? undefined : pinInState.get(STATE_WAITING)
        if (next !== undefined) {
          begin(next, events, counted)
          continue
        }
      }
      if (!uncountNext(walking === undefined, deadlineMs, events)) {
        if (walking === undefined && hasWork(WORK_COUNT)) {
          // Only references that an entry set aside still holds: nobody waits for them, and they must not hold up others.
          const owner = oldestPin.get(WORK_COUNT)
          abandon.run()
          if (typeof owner === 'number') endIfUncounted(owner, events)
          continue
        }
        break
      }
    }
    settle(events)
    return counted
  }

  function begin(
    pin: { id: number; cid: Uint8Array },
    events: WalkEvent[],
    counted: Map<number, number>,
  ): void {
    const root = toLink(CID.decode(pin.cid))
    if (!reader.holds(pin.cid)) {
      deletePin.run(pin.id)
      events.push({ type: 'failed', pin: pin.id, root: pin.cid, block: pin.cid, malformed: null })
      return
    }
    setState.run(STATE_WALKING, pin.id)
    references.count(root, pin.id)
    add(counted, pin.id)
  }

  function advance(
    pin: { id: number; cid: Uint8Array },
    deadlineMs: number,
    events: WalkEvent[],
    counted: Map<number, number>,
  ): void {
    const entry = nextEntry.get(WORK_COUNT, pin.id)
    if (entry === undefined) {
      const verdict = audit.check(pin, deadlineMs)
      if (verdict.state === 'unsure') return
      if (verdict.state === 'lost') {
        fail(pin, verdict.block, verdict.malformed, events)
        return
      }
      setState.run(STATE_PINNED, pin.id)
      events.push({ type: 'pinned', pin: pin.id })
      return
    }
    let links: readonly Link[] | undefined
    try {
      links = reader.links(entry.cid)
    } catch (error) {
      if (!(error instanceof MalformedBlockError)) throw error
      fail(pin, entry.cid, error.message, events)
      return
    }
    if (links === undefined || !reader.holds(entry.cid)) {
      fail(pin, entry.cid, null, events)
      return
    }
    for (let index = entry.applied; index < links.length; index++) {
      if (now() >= deadlineMs) {
        references.saveApplied(entry, index)
        return
      }
      const link = links[index] as Link
      if (!reader.held(link.mh)) {
        references.saveApplied(entry, index)
        fail(pin, link.key, null, events)
        return
      }
      references.count(link, pin.id)
      add(counted, pin.id)
    }
    references.finish(entry, CID.decode(entry.cid).multihash.bytes)
  }

  function fail(
    pin: { id: number; cid: Uint8Array },
    block: Uint8Array,
    malformed: string | null,
    events: WalkEvent[],
  ): void {
    undo(pin)
    events.push({ type: 'failed', pin: pin.id, root: pin.cid, block, malformed })
  }

  function undo(pin: { id: number; cid: Uint8Array }): void {
    setState.run(STATE_UNPINNING, pin.id)
    audit.reset()
    references.uncount(toLink(CID.decode(pin.cid)), pin.id)
    suspects.add(pin.id)
  }

  function settle(events: WalkEvent[]): void {
    for (const pin of suspects) endIfUncounted(pin, events)
    suspects.clear()
  }

  /** Works on one entry with delta -1; false where there is none. `undoing`: what a failed walk left goes first. */
  function uncountNext(undoing: boolean, deadlineMs: number, events: WalkEvent[]): boolean {
    const failed = undoing ? (oldestPin.get(WORK_COUNT) ?? undefined) : undefined
    const oldest = oldestPin.get(WORK_UNCOUNT) ?? undefined
    if (oldest === undefined) return false
    const entry =
      (failed === undefined ? undefined : nextEntry.get(WORK_UNCOUNT, failed)) ??
      nextEntry.get(WORK_UNCOUNT, oldest)
    if (entry === undefined) return false
    uncountLinks(entry, deadlineMs, events)
    return true
  }

  function uncountLinks(entry: WorkEntry, deadlineMs: number, events: WalkEvent[]): void {
    let links: readonly Link[] | undefined
    try {
      links = reader.links(entry.cid)
    } catch (error) {
      if (!(error instanceof MalformedBlockError)) throw error
    }
    if (links === undefined) {
      references.setAside(entry)
      events.push({ type: 'set-aside', block: entry.cid })
      return
    }
    for (let applied = Math.min(entry.applied, links.length); applied > 0; applied--) {
      if (now() >= deadlineMs) {
        references.saveApplied(entry, applied)
        return
      }
      references.uncount(links[applied - 1] as Link, entry.pin)
    }
    references.finish(entry, CID.decode(entry.cid).multihash.bytes)
  }

  function endIfUncounted(pin: number, events: WalkEvent[]): void {
    if (stateOf.get(pin) !== STATE_UNPINNING) return
    if (hasEntry.get(WORK_UNCOUNT, pin) === 1 || hasEntry.get(WORK_COUNT, pin) === 1) return
    deletePin.run(pin)
    events.push({ type: 'removed', pin })
  }

  function hasMore(): boolean {
    return suspects.size > 0 || unfinished.get() === 1 || hasWork(WORK_UNCOUNT) || hasWork(WORK_COUNT)
  }

  return {
    references,
    reader,
    remove(pin) {
      undo(pin)
      const events: WalkEvent[] = []
      endIfUncounted(pin.id, events)
      return events.length > 0 ? 'removed' : 'removing'
    },
    step() {
      const events: WalkEvent[] = []
      if (!hasMore()) return { events, counted: new Map(), more: false, anomalies: references.anomalies }
      try {
        const counted = context.commit(() => runStep(now() + stepBudgetMs(), events))
        return { events, counted, more: hasMore(), anomalies: references.anomalies }
      } catch (error) {
        audit.reset()
        for (const pin of unpinning.all()) suspects.add(pin)
        throw error
      }
    },
    retry() {
      for (const pin of unpinning.all()) suspects.add(pin)
      const ready = asideEntries
        .all()
        .filter((entry) => entry.count === 0 && reader.links(entry.cid) !== undefined)
      if (ready.length === 0) return
      context.commit(() => {
        for (const entry of ready) retake.run(entry.id)
      })
    },
  }
}

function add(counted: Map<number, number>, pin: number): void {
  counted.set(pin, (counted.get(pin) ?? 0) + 1)
}
