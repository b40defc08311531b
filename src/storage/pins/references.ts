import type { Database } from 'better-sqlite3'
import { ALL_LINKS, KIND_DIRECT, KIND_RECURSIVE, WORK_ASIDE, WORK_COUNT, WORK_UNCOUNT } from './states.ts'
import type { Link } from './links.ts'

/*
 * How references are counted, and why the counts are right.
 *
 * Write C(c) for ref(c, deep).count, P(c) for the number of recursive pins WALKING or PINNED whose root is c, links(p)
 * for the list of distinct links of p, which its bytes determine, and applied(p) for how many of them, from the first
 * on, have been counted. applied(p) is the column of p's entry in ref_work where there is one; without an entry it is
 * all of them where ref(p, deep) exists and none where it does not.
 *
 * (1) At every commit  C(c) = P(c) + the number of p with c among the first applied(p) of links(p).
 *     Only `count` and `uncount` change C, always by one, and each call goes, in the same transaction, with one pin that
 *     enters or leaves P, or with one step of one applied(p). Both sides start at 0. So counts are sums of terms that
 *     are never negative, whatever the order of the work, whoever shares what, and wherever a crash falls.
 * (2) p has an entry with delta 1 exactly while C(p) > 0 and not all its links are known to be counted, and one with
 *     delta -1 exactly while C(p) = 0 and some may be counted: entries come and go only where C(p) leaves or reaches 0,
 *     or where applied(p) reaches its aim, here and in walk.ts. An entry that turns round half way goes back from where
 *     it is, so no edge is ever counted twice. (For blocks that cannot be read, see `setAside`.)
 * (3) So when the queue is empty, C(c) = P(c) + the number of p with C(p) > 0 that link to c. DAGs have no circles:
 *     by induction from the roots down, this has one solution, the count from scratch.
 * (4) The row of p stays, with count 0, while p has an entry, and a row of ref is what keeps a block from the collector:
 *     the links of p can be read until the last of them is uncounted.
 */

export interface References {
  /** Counts one pin's root, or one link of a counted block. `pin` is on whose account a walk it takes is done. */
  count(link: Link, pin: number): void
  uncount(link: Link, pin: number): void
  countDirect(link: Link): void
  uncountDirect(link: Link): void
  /** The entry has reached its aim: forgets it, and with count 0 the reference. */
  finish(entry: WorkEntry, mh: Uint8Array): void
  saveApplied(entry: WorkEntry, applied: number): void
  /** Keeps an entry whose block cannot be read: its links stay as they are, and so does its reference. */
  setAside(entry: WorkEntry): void
  /** References that were to be uncounted and were not there. Above 0 means a defect: (1) does not hold. */
  readonly anomalies: number
}

export interface WorkEntry {
  id: number
  cid: Uint8Array
  delta: number
  applied: number
  pin: number
}

/** `onEntryLost` is told of each pin on whose account there is an entry less. */
export function createReferences(db: Database, onEntryLost: (pin: number) => void): References {
  const getCount = db
    .prepare<[Uint8Array, number], number>('SELECT count FROM ref WHERE cid = ? AND deep = ?')
    .pluck()
  const insertRef = db.prepare<[Uint8Array, number]>('INSERT INTO ref (cid, deep, count) VALUES (?, ?, 1)')
  const setCount = db.prepare<[number, Uint8Array, number]>(
    'UPDATE ref SET count = ? WHERE cid = ? AND deep = ?',
  )
  const deleteRef = db.prepare<[Uint8Array, number]>('DELETE FROM ref WHERE cid = ? AND deep = ?')
  const addBlockRefs = db.prepare<[number, Uint8Array]>('UPDATE block SET refs = refs + ? WHERE mh = ?')
  const getWork = db.prepare<[Uint8Array], WorkEntry>(
    'SELECT id, cid, delta, applied, pin FROM ref_work WHERE cid = ?',
  )
  const insertWork = db.prepare<[Uint8Array, number, number, number]>(
    'INSERT INTO ref_work (cid, delta, applied, pin) VALUES (?, ?, ?, ?)',
  )
  const turnWork = db.prepare<[number, number, number]>('UPDATE ref_work SET delta = ?, pin = ? WHERE id = ?')
  const setApplied = db.prepare<[number, number]>('UPDATE ref_work SET applied = ? WHERE id = ?')
  const deleteWork = db.prepare<[number]>('DELETE FROM ref_work WHERE id = ?')
  let anomalies = 0

  function appear(link: Link, deep: number): void {
    insertRef.run(link.key, deep)
    addBlockRefs.run(1, link.mh)
  }

  function disappear(key: Uint8Array, mh: Uint8Array, deep: number): void {
    deleteRef.run(key, deep)
    addBlockRefs.run(-1, mh)
  }

  function dropWork(entry: WorkEntry): void {
    deleteWork.run(entry.id)
    onEntryLost(entry.pin)
  }

  function turn(entry: WorkEntry, delta: number, pin: number): void {
    turnWork.run(delta, pin, entry.id)
    if (entry.pin !== pin) onEntryLost(entry.pin)
  }

  return {
    count(link, pin) {
      const before = getCount.get(link.key, KIND_RECURSIVE)
      if (before === undefined) {
        appear(link, KIND_RECURSIVE)
        if (!link.leaf) insertWork.run(link.key, WORK_COUNT, 0, pin)
        return
      }
      setCount.run(before + 1, link.key, KIND_RECURSIVE)
      if (link.leaf) return
      // Above 0 an entry is either this walk's own, or one that was set aside and can go on now that it is met again.
      const entry = getWork.get(link.key)
      if (entry === undefined || entry.delta === WORK_COUNT) return
      if (entry.applied === ALL_LINKS) dropWork(entry)
      else turn(entry, WORK_COUNT, pin)
    },

    uncount(link, pin) {
      const before = getCount.get(link.key, KIND_RECURSIVE) ?? 0
      if (before === 0) {
        anomalies++
        return
      }
      if (before > 1) {
        setCount.run(before - 1, link.key, KIND_RECURSIVE)
        return
      }
      if (link.leaf) {
        disappear(link.key, link.mh, KIND_RECURSIVE)
        return
      }
      const entry = getWork.get(link.key)
      if (entry?.applied === 0) {
        dropWork(entry)
        disappear(link.key, link.mh, KIND_RECURSIVE)
        return
      }
      setCount.run(0, link.key, KIND_RECURSIVE)
      if (entry === undefined) insertWork.run(link.key, WORK_UNCOUNT, ALL_LINKS, pin)
      else turn(entry, WORK_UNCOUNT, pin)
    },

    countDirect(link) {
      const before = getCount.get(link.key, KIND_DIRECT)
      if (before === undefined) appear(link, KIND_DIRECT)
      else setCount.run(before + 1, link.key, KIND_DIRECT)
    },

    uncountDirect(link) {
      const before = getCount.get(link.key, KIND_DIRECT) ?? 0
      if (before > 1) setCount.run(before - 1, link.key, KIND_DIRECT)
      else if (before === 1) disappear(link.key, link.mh, KIND_DIRECT)
      else anomalies++
    },

    finish(entry, mh) {
      dropWork(entry)
      if (entry.delta === WORK_UNCOUNT) disappear(entry.cid, mh, KIND_RECURSIVE)
    },

    saveApplied(entry, applied) {
      setApplied.run(applied, entry.id)
    },

    setAside(entry) {
      turn(entry, WORK_ASIDE, entry.pin)
      onEntryLost(entry.pin)
    },

    get anomalies() {
      return anomalies
    },
  }
}
