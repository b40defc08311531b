/**
 * What is known of one peer, and the scores that follow from it: a pure function of the evidence and the time.
 *
 * Evidence is added up in sums that are forgotten exponentially, as beta reputation forgets its counts (Jøsang and Ismail,
 * "The Beta Reputation System", 2002, section 3.4). The sums are linear where no bound is reached, so that the order in
 * which evidence came does not matter there; bounds make it matter only for a peer that has reached one.
 *
 * Reliability (does what it promises) and honesty (never lies) are kept apart, as a slow peer is no cheat; Storj keeps its
 * audit, suspension and online scores apart for the same reason (Storj, "Storage Node Reputation", 2020).
 */
import type { EvidenceKind } from '../contract.ts'
import { BAD_MAX, BASELINE, GOOD_MAX, SUMS, type SumName, type View, WEIGHTS } from './weights.ts'

const DAY_MS = 24 * 3_600_000
/** W of subjective logic (Jøsang): with so much evidence, half of what is said is known and half assumed. */
const PRIOR_EVIDENCE = 2
/** Evidence that says how well a peer is known is forgotten at the pace of good conduct. */
const EVIDENCE_HALF_LIFE_MS = 30 * DAY_MS
/** One audit can be passed with what has just been received; two lie an interval apart. Two count for 12 days, ten for 80. */
const PROVEN_FROM = 1.5 * WEIGHTS['audit-passed'].amount

export interface Account {
  /** All sums as they were at `atMs`. */
  sums: Partial<Record<SumName, number>>
  atMs: number
  /** How much evidence there is, forgotten like the sums; what was over a day's bound is none. */
  evidence: number
  /** The day (since the epoch, UTC) for which `used` counts what kinds with a daily bound have added. */
  day: number
  used: Partial<Record<EvidenceKind, number>>
  /** Everything that was ever reported, for whoever asks why. */
  totals: Partial<Record<EvidenceKind, { count: number; lastMs: number }>>
}

export type Views = Readonly<Record<View, number>>

export const NEWCOMER: Views = Object.freeze({
  honesty: BASELINE,
  reliability: BASELINE,
  storage: BASELINE,
})

export function newAccount(atMs: number): Account {
  return { sums: {}, atMs, evidence: 0, day: dayOf(atMs), used: {}, totals: {} }
}

/** Adds what was seen at `atMs`. A clock that went back counts as one that stood still. */
export function note(account: Account, kind: EvidenceKind, atMs: number): void {
  const nowMs = Math.max(atMs, account.atMs)
  forgetUntil(account, nowMs)
  const total = account.totals[kind]
  account.totals[kind] = { count: (total?.count ?? 0) + 1, lastMs: nowMs }
  const { sum, amount, perDay } = WEIGHTS[kind]
  const left = perDay === undefined ? amount : perDay - (account.used[kind] ?? 0)
  const added = Math.min(amount, left)
  // What a day has used up adds in steps of the amount; a rest by rounding is none.
  if (added < amount / 2) return
  if (perDay !== undefined) account.used[kind] = (account.used[kind] ?? 0) + added
  const most = SUMS[sum].sign > 0 ? GOOD_MAX : BAD_MAX
  account.sums[sum] = Math.min(most, (account.sums[sum] ?? 0) + added)
  account.evidence += 1
}

/** The three views at a time, each in [0, 1]. */
export function viewsAt(account: Account, atMs: number): Views {
  const elapsedMs = Math.max(0, atMs - account.atMs)
  const good: Record<View, number> = { honesty: 0, reliability: 0, storage: 0 }
  const bad: Record<View, number> = { honesty: 0, reliability: 0, storage: 0 }
  for (const [name, value] of Object.entries(account.sums) as [SumName, number][]) {
    const { sign, views, halfLifeMs } = SUMS[name]
    for (const view of views) (sign > 0 ? good : bad)[view] += value * halved(elapsedMs, halfLifeMs)
  }
  const of = (view: View): number =>
    Math.min(1, Math.max(0, BASELINE + Math.min(GOOD_MAX, good[view]) - bad[view]))
  return { honesty: of('honesty'), reliability: of('reliability'), storage: of('storage') }
}

/** What each sum is at a time. */
export function sumsAt(account: Account, atMs: number): { name: SumName; value: number }[] {
  const elapsedMs = Math.max(0, atMs - account.atMs)
  return (Object.entries(account.sums) as [SumName, number][]).map(([name, value]) => ({
    name,
    value: value * halved(elapsedMs, SUMS[name].halfLifeMs),
  }))
}

/** Whether there are proofs, and not just one: what is left of them after some days counts as well. */
export function isProvenAt(account: Account, atMs: number): boolean {
  const elapsedMs = Math.max(0, atMs - account.atMs)
  return (account.sums.proofs ?? 0) * halved(elapsedMs, SUMS.proofs.halfLifeMs) >= PROVEN_FROM
}

/** How much evidence has moved a view at a time, for better and for worse, in score: 0 for a newcomer. */
export function strengthAt(account: Account, atMs: number, view: View): number {
  return sumsAt(account, atMs)
    .filter(({ name }) => SUMS[name].views.includes(view))
    .reduce((total, { value }) => total + value, 0)
}

/** One number for both views: reliability can make an honest peer worth more or less, and a dishonest one only less. */
export function overall(honesty: number, reliability: number): number {
  return Math.min(honesty, (honesty + reliability) / 2)
}

/** How many pieces of evidence are known, forgotten like the sums. */
export function evidenceAt(account: Account, atMs: number): number {
  return account.evidence * halved(Math.max(0, atMs - account.atMs), EVIDENCE_HALF_LIFE_MS)
}

/** How well a peer is known, in [0, 1): 1 − uncertainty of subjective logic, n ÷ (n + 2). */
export function confidenceAt(account: Account, atMs: number): number {
  const known = evidenceAt(account, atMs)
  return known / (known + PRIOR_EVIDENCE)
}

function forgetUntil(account: Account, atMs: number): void {
  const elapsedMs = atMs - account.atMs
  for (const { name, value } of sumsAt(account, atMs)) account.sums[name] = value
  account.evidence *= halved(elapsedMs, EVIDENCE_HALF_LIFE_MS)
  account.atMs = atMs
  const day = dayOf(atMs)
  if (day !== account.day) {
    account.day = day
    account.used = {}
  }
}

function halved(elapsedMs: number, halfLifeMs: number): number {
  return 2 ** (-elapsedMs / halfLifeMs)
}

function dayOf(atMs: number): number {
  return Math.floor(atMs / DAY_MS)
}
