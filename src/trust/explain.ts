import type { Action, EvidenceKind } from './contract.ts'
import { confidenceAt, NEWCOMER, sumsAt, type Views, viewsAt } from './model/account.ts'
import { BASELINE, SUMS, type SumName, type View } from './model/weights.ts'
import { type ExplainedOpinion, type Hearsay, within } from './hearsay.ts'
import type { PeerAccount } from './scores.ts'
import { type Measure, measured, RULES, type Thresholds } from './thresholds.ts'

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
  /** What every sum adds to or takes from which view now; the views are the baseline, these and `heard`, kept within [0, 1]. */
  terms: { sum: SumName; value: number; views: View[]; halfLifeMs: number }[]
  baseline: number
  /** What others say adds to or takes from each view now, beside what was seen. Nothing of it counts for `storageScore`. */
  heard: { honesty: number; reliability: number }
  /** Who says so; by view, what is worth most first. */
  recommendations: ExplainedOpinion[]
  /** Everything that was ever reported, by kind. */
  totals: { kind: EvidenceKind; count: number; lastMs: number }[]
  override: number | null
  listed: 'blocked' | 'allowed' | null
  bannedUntilMs: number | null
  /** What the peer may, where scores count; where the score would do and it may not, it is listed, banned or no member. */
  decisions: { action: Action; measure: Measure; value: number; threshold: number; allowed: boolean }[]
}

const NOTHING_HEARD = Object.freeze({ honesty: 0, reliability: 0 })

export interface ExplainOptions {
  peer: string
  entry: PeerAccount | undefined
  listed: PeerReport['listed']
  thresholds: Thresholds | undefined
  /** What is answered to who asks, by lists, membership, bans and scores. */
  allows: (action: Action) => boolean
  said: ReturnType<Hearsay['explain']>
  nowMs: number
}

export function explain(options: ExplainOptions): PeerReport {
  const { peer, entry, listed, thresholds, allows, said, nowMs } = options
  const override = entry?.override ?? null
  const model = entry === undefined ? NEWCOMER : viewsAt(entry.account, nowMs)
  const seen = override === null ? model : { honesty: override, reliability: override, storage: override }
  const heard = override === null ? said.added : NOTHING_HEARD
  const views: Views = {
    ...seen,
    honesty: within(seen.honesty + heard.honesty),
    reliability: within(seen.reliability + heard.reliability),
  }
  const isBanned = entry?.ban !== null && entry?.ban !== undefined && nowMs < entry.ban.untilMs
  return {
    peer,
    score: measured(views, 'score'),
    storageScore: measured(seen, 'storage'),
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
    heard,
    recommendations: said.opinions,
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
      const isSeenOnly = rule.isSeenOnly === true || rule.measure === 'storage'
      const value = measured(isSeenOnly ? seen : views, rule.measure)
      const threshold = thresholds?.[rule.threshold] ?? 0
      return { action, measure: rule.measure, value, threshold, allowed: allows(action) }
    })
  }
}
