import { MAX_AGE_MS } from '../../../protocols/trust/limits.ts'
import type { SignedBytes } from '../../../protocols/trust/types.ts'
import type { TrustState } from '../ledger.ts'
import { MAX_AUTHORS, MAX_HEARD_PER_AUTHOR } from './limits.ts'
import type { Heard, HeardSigned } from './types.ts'

interface Row {
  author: string
  subject: string
  view: string
  score: number
  evidence: number
  at_ms: number
  sequence: string
  network_range: string
}

/** What others said: in memory for the hot path, in state.db so that it lasts. Bounded by author, so that nobody crowds out others. */
export interface HeardStore {
  /** What was said of a peer, outdated included. */
  of(subject: string): readonly Heard[]
  has(subject: string): boolean
  /**
   * Takes what is newer than what its author said before; how many were. One transaction, which a power loss may undo; where the disk
   * refuses it, it throws, and what was heard counts until the next start.
   */
  take(all: readonly HeardSigned[]): number
  /** Lets go of what is out of date; call it now and then. */
  forgetOld(nowMs: number): void
  count(): number
}

export function openHeard(state: TrustState): HeardStore {
  const { db } = state
  const load = db.prepare<[number], Row>(
    `SELECT author, subject, view, score, evidence, at_ms, sequence, network_range FROM recommendation_heard
     ORDER BY at_ms LIMIT ?`,
  )
  const upsert = db.prepare(
    `INSERT INTO recommendation_heard (author, subject, view, score, evidence, at_ms, sequence, network_range, payload, signature)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (author, subject, view) DO UPDATE SET score = excluded.score, evidence = excluded.evidence,
       at_ms = excluded.at_ms, sequence = excluded.sequence, network_range = excluded.network_range,
       payload = excluded.payload, signature = excluded.signature`,
  )
  const erase = db.prepare('DELETE FROM recommendation_heard WHERE author = ? AND subject = ? AND view = ?')
  const eraseAuthor = db.prepare('DELETE FROM recommendation_heard WHERE author = ?')
  const eraseOld = db.prepare('DELETE FROM recommendation_heard WHERE at_ms < ?')

  /** By author, who spoke last at the end; of each by subject and view, what was said last at the end. */
  const authors = new Map<string, Map<string, Heard>>()
  const subjects = new Map<string, Set<Heard>>()
  for (const row of load.all(MAX_AUTHORS * MAX_HEARD_PER_AUTHOR)) remember(fromRow(row))

  function ofSubject(subject: string): Set<Heard> {
    const known = subjects.get(subject)
    if (known !== undefined) return known
    const made = new Set<Heard>()
    subjects.set(subject, made)
    return made
  }

  function forget(heard: Heard): void {
    authors.get(heard.author)?.delete(keyOf(heard))
    const rest = subjects.get(heard.subject)
    rest?.delete(heard)
    if (rest?.size === 0) subjects.delete(heard.subject)
  }

  /** What had to go for it. */
  function remember(heard: Heard): { gone: Heard[]; goneAuthor: string | undefined } {
    const ofAuthor = authors.get(heard.author) ?? new Map<string, Heard>()
    authors.delete(heard.author)
    authors.set(heard.author, ofAuthor)
    const before = ofAuthor.get(keyOf(heard))
    if (before !== undefined) forget(before)
    const gone: Heard[] = []
    const [oldest] = ofAuthor.values()
    if (ofAuthor.size >= MAX_HEARD_PER_AUTHOR && oldest !== undefined) {
      forget(oldest)
      gone.push(oldest)
    }
    ofAuthor.set(keyOf(heard), heard)
    ofSubject(heard.subject).add(heard)
    const [goneAuthor] = authors.size > MAX_AUTHORS ? authors.keys() : []
    if (goneAuthor !== undefined) forgetAuthor(goneAuthor)
    return { gone, goneAuthor }
  }

  function forgetAuthor(author: string): void {
    for (const heard of authors.get(author)?.values() ?? []) forget(heard)
    authors.delete(author)
  }

  function put(heard: Heard, { payload, signature }: SignedBytes): void {
    const { author, subject, view, score, evidence, atMs, sequence, range } = heard
    upsert.run(author, subject, view, score, evidence, atMs, sequence.toString(), range, payload, signature)
  }

  return {
    of: (subject) => [...(subjects.get(subject) ?? [])],
    has: (subject) => subjects.has(subject),
    take(all) {
      const taken: HeardSigned[] = []
      const gone: Heard[] = []
      const goneAuthors: string[] = []
      for (const each of all) {
        const { author, sequence } = each.heard
        if (sequence <= (authors.get(author)?.get(keyOf(each.heard))?.sequence ?? -1n)) continue
        taken.push(each)
        const left = remember(each.heard)
        gone.push(...left.gone)
        if (left.goneAuthor !== undefined) goneAuthors.push(left.goneAuthor)
      }
      if (taken.length === 0) return 0
      state.writeRelaxed(() => {
        for (const { heard, signed } of taken) put(heard, signed)
        for (const { author, subject, view } of gone) erase.run(author, subject, view)
        for (const author of goneAuthors) eraseAuthor.run(author)
      })
      return taken.length
    },
    forgetOld(nowMs) {
      const cutoffMs = nowMs - MAX_AGE_MS
      const old = [...authors.values()].flatMap((ofAuthor) =>
        [...ofAuthor.values()].filter(({ atMs }) => atMs < cutoffMs),
      )
      if (old.length === 0) return
      state.writeRelaxed(() => eraseOld.run(cutoffMs))
      for (const heard of old) {
        forget(heard)
        if (authors.get(heard.author)?.size === 0) authors.delete(heard.author)
      }
    },
    count: () => [...authors.values()].reduce((total, { size }) => total + size, 0),
  }
}

function keyOf({ subject, view }: Pick<Heard, 'subject' | 'view'>): string {
  return `${view} ${subject}`
}

function fromRow(row: Row): Heard {
  return {
    author: row.author,
    subject: row.subject,
    view: row.view === 'reliability' ? 'reliability' : 'honesty',
    score: row.score,
    evidence: row.evidence,
    atMs: row.at_ms,
    sequence: BigInt(row.sequence),
    range: row.network_range,
  }
}
