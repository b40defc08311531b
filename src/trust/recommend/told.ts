import type { SignedBytes } from '../../../protocols/trust/types.ts'
import { MAX_AGE_MS } from '../../../protocols/trust/limits.ts'
import type { TrustState } from '../ledger.ts'
import type { HeardView } from '../model/hearsay.ts'
import { MAX_TOLD } from './limits.ts'
import type { Told } from './types.ts'

interface Row {
  id: number
  subject: string
  view: string
  score: number
  evidence: number
  by_hand: number
  at_ms: number
  sequence: string
  payload: Uint8Array
  signature: Uint8Array
}

/** What this node said last of each peer and view, as it was signed. */
export interface ToldStore {
  find(subject: string, view: HeardView): (Told & { signed: SignedBytes }) | undefined
  /** Greater than in everything that is stored; `atLeast` where that is greater still. */
  nextSequence(atLeast: bigint): bigint
  /** In place of what was said before about the same. Relaxed: what a power loss takes is said again. */
  put(all: readonly (Told & { sequence: bigint; signed: SignedBytes })[]): void
  /** What was put after `since`, oldest first. */
  page(since: bigint, limit: number): { recommendations: SignedBytes[]; next: bigint; more: boolean }
  all(): Told[]
  /** Removes what is out of date. */
  forgetOld(nowMs: number): void
  count(): number
}

export function openTold(state: TrustState): ToldStore {
  const { db } = state
  const select = db.prepare<[string, string], Row>(
    'SELECT * FROM recommendation_told WHERE subject = ? AND view = ?',
  )
  const selectAll = db.prepare<[number], Row>('SELECT * FROM recommendation_told ORDER BY id LIMIT ?')
  const selectAfter = db.prepare<[bigint, number], Row>(
    'SELECT * FROM recommendation_told WHERE id > ? ORDER BY id LIMIT ?',
  )
  const newestId = db.prepare<[], number | null>('SELECT max(id) FROM recommendation_told').pluck()
  const count = db.prepare<[], number>('SELECT count(*) FROM recommendation_told').pluck()
  // A new row, so that its id says when it came.
  const replace = db.prepare(
    `INSERT OR REPLACE INTO recommendation_told
       (subject, view, score, evidence, by_hand, at_ms, sequence, payload, signature) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const eraseOld = db.prepare('DELETE FROM recommendation_told WHERE at_ms < ?')
  const eraseSurplus = db.prepare(
    `DELETE FROM recommendation_told WHERE id IN (SELECT id FROM recommendation_told ORDER BY id LIMIT
       max(0, (SELECT count(*) FROM recommendation_told) - ${MAX_TOLD}))`,
  )
  let highest = selectAll.all(MAX_TOLD).reduce((most, { sequence }) => {
    return BigInt(sequence) > most ? BigInt(sequence) : most
  }, 0n)

  return {
    find(subject, view) {
      const row = select.get(subject, view)
      return row === undefined ? undefined : { ...toldOf(row), signed: signedOf(row) }
    },
    nextSequence(atLeast) {
      highest = atLeast > highest ? atLeast : highest + 1n
      return highest
    },
    put(all) {
      state.writeRelaxed(() => {
        for (const { subject, view, score, evidence, isByHand, atMs, sequence, signed } of all) {
          const { payload, signature } = signed
          replace.run(
            subject,
            view,
            score,
            evidence,
            Number(isByHand),
            atMs,
            sequence.toString(),
            payload,
            signature,
          )
        }
        eraseSurplus.run()
      })
    },
    page(since, limit) {
      const last = BigInt(newestId.get() ?? 0)
      // Somebody who knows more than there is has met an earlier database of this node.
      const from = since > last ? 0n : since
      const rows = selectAfter.all(from, limit)
      const next = BigInt(rows.at(-1)?.id ?? last)
      return { recommendations: rows.map(signedOf), next, more: rows.length === limit && next < last }
    },
    all: () => selectAll.all(MAX_TOLD).map(toldOf),
    forgetOld: (nowMs) => state.writeRelaxed(() => void eraseOld.run(nowMs - MAX_AGE_MS)),
    count: () => count.get() ?? 0,
  }
}

function toldOf(row: Row): Told {
  return {
    subject: row.subject,
    view: row.view === 'reliability' ? 'reliability' : 'honesty',
    score: row.score,
    evidence: row.evidence,
    atMs: row.at_ms,
    isByHand: row.by_hand === 1,
  }
}

function signedOf({ payload, signature }: Row): SignedBytes {
  return { payload: Uint8Array.from(payload), signature: Uint8Array.from(signature) }
}
