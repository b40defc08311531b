import type { Action, EvidenceKind } from './contract.ts'
import { confidenceAt, NEWCOMER, sumsAt, viewsAt } from './model/account.ts'
import { BASELINE, SUMS, type SumName, type View } from './model/weights.ts'
import type { PeerAccount } from './scores.ts'
import { type Measure, measured, reaches, RULES, type Thresholds } from './thresholds.ts'

/** A score and where it comes from. */
export interface PeerReport {
  peer: string
  /** In [0, 1]: honesty, or the mean of honesty and reliability where that is less. */
  score: number
  /** The same for who is to keep something. */
  storageScore: number
  honesty: number
  reliability: number
  /** How well the peer is known, in [0, 1). */
  confidence: number
  /** What every sum adds to or takes from which view now; the views are the baseline and these, kept within [0, 1]. */
  terms: { sum: SumName; value: number; views: View[]; halfLifeMs: number }[]
  baseline: number
  /** Everything that was ever reported, by kind. */
  totals: { kind: EvidenceKind; count: number; lastMs: number }[]
  override: number | null
  listed: 'blocked' | 'allowed' | null
  bannedUntilMs: number | null
  /** What the peer may by its score, where scores count. */
  decisions: { action: Action; measure: Measure; value: number; threshold: number; allowed: boolean }[]
}

export interface ExplainOptions {
  peer: string
  entry: PeerAccount | undefined
  listed: PeerReport['listed']
  thresholds: Thresholds | undefined
  nowMs: number
}

export function explain({ peer, entry, listed, thresholds, nowMs }: ExplainOptions): PeerReport {
  const override = entry?.override ?? null
  const model = entry === undefined ? NEWCOMER : viewsAt(entry.account, nowMs)
  const views = override === null ? model : { honesty: override, reliability: override, storage: override }
  const isBanned = entry?.ban !== null && entry?.ban !== undefined && nowMs < entry.ban.untilMs
  return {
    peer,
    score: measured(views, 'score'),
    storageScore: measured(views, 'storage'),
    honesty: views.honesty,
    reliability: views.reliability,
    confidence: entry === undefined ? 0 : confidenceAt(entry.account, nowMs),
    terms:
      entry === undefined
        ? []
        : sumsAt(entry.account, nowMs).map(({ name, value }) => ({
            sum: name,
            value: value * SUMS[name].sign,
            views: [...SUMS[name].views],
            halfLifeMs: SUMS[name].halfLifeMs,
          })),
    baseline: BASELINE,
    totals: Object.entries(entry?.account.totals ?? {}).map(([kind, total]) => ({
      kind: kind as EvidenceKind,
      ...total,
    })),
    override,
    listed,
    bannedUntilMs: isBanned ? (entry?.ban?.untilMs ?? null) : null,
    decisions: thresholds === undefined ? [] : decisionsOf(),
  }

  function decisionsOf(): PeerReport['decisions'] {
    return (Object.entries(RULES) as [Action, (typeof RULES)[Action]][]).map(([action, rule]) => {
      const value = measured(views, rule.measure)
      const threshold = thresholds?.[rule.threshold] ?? 0
      const byLists = listed === null ? undefined : listed === 'allowed'
      return {
        action,
        measure: rule.measure,
        value,
        threshold,
        allowed: byLists ?? (!isBanned && reaches(value, threshold)),
      }
    })
  }
}
