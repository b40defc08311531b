/**
 * What others say of a peer, and how much of it counts beside what was seen: a pure function of the recommendations and the time.
 *
 * A recommendation is discounted by how far its recommender has proven itself and by how much evidence it stands on, as
 * subjective logic discounts the opinion of another one (Jøsang, "Subjective Logic", 2016, chapter 14; n ÷ (n + 2) is the certainty of
 * n pieces of evidence). Recommenders are scored by what was seen of them alone: trust goes one hop, so that a ring whose members praise
 * each other is worth what each of them has earned. (EigenTrust, Kamvar et al. 2003, walks on until the ranks settle and then needs
 * peers that are trusted beforehand to keep such rings down.)
 *
 * Everything is bounded whoever speaks: one recommender by RECOMMENDER_MAX, all of one network range by the one of them that
 * says most, all together by HEARSAY_MAX in each direction. Praise and blame are bounded apart, so that no chorus drowns a warning.
 */
import { BASELINE } from './weights.ts'

/** The most that one recommender can add or take: as much as one invalid message. */
export const RECOMMENDER_MAX = 0.1
/**
 * The most that all together can add or take, while nothing was seen. A newcomer that everybody slanders stays at 0.35, above what
 * storing, relaying and the catalogue ask for; one that everybody praises comes to 0.65, below what fetching by itself asks for.
 */
export const HEARSAY_MAX = 0.15
/** W of subjective logic, as in account.ts. */
const PRIOR_EVIDENCE = 2
/** As long as bad software takes to be mended; after 30 days a recommendation is refused altogether. */
const HALF_LIFE_MS = 14 * 24 * 3_600_000

export type HeardView = 'honesty' | 'reliability'
export const HEARD_VIEWS = ['honesty', 'reliability'] as const satisfies readonly HeardView[]

/** One recommendation about one view of one peer, and who gave it. */
export interface Opinion {
  score: number
  /** Pieces of evidence it stands on. */
  evidence: number
  atMs: number
  /** Network range of the recommender; all whose range is not known share one. */
  range: string
  /** Score of the recommender by what was seen of it, in [0, 1]. */
  recommender: number
}

/** What one recommendation would count by itself, in [−RECOMMENDER_MAX, RECOMMENDER_MAX]. */
export function worthOf({ score, evidence, atMs, recommender }: Opinion, nowMs: number): number {
  // Whoever is no better than a newcomer says nothing: newcomers cost nothing to make.
  const standing = Math.max(0, (recommender - BASELINE) / (1 - BASELINE))
  const certainty = evidence / (evidence + PRIOR_EVIDENCE)
  const freshness = 2 ** (-Math.max(0, nowMs - atMs) / HALF_LIFE_MS)
  const worth = (RECOMMENDER_MAX * standing * certainty * freshness * (score - BASELINE)) / (1 - BASELINE)
  // No −0 for those who say nothing bad of weight.
  return worth === 0 ? 0 : worth
}

/** What all recommendations about one view say together, in [−HEARSAY_MAX, HEARSAY_MAX]. */
export function heardTogether(opinions: readonly Opinion[], nowMs: number): number {
  const ranges = new Map<string, { praise: number; blame: number }>()
  for (const opinion of opinions) {
    const worth = worthOf(opinion, nowMs)
    const range = ranges.get(opinion.range) ?? { praise: 0, blame: 0 }
    range.praise = Math.max(range.praise, worth)
    range.blame = Math.min(range.blame, worth)
    ranges.set(opinion.range, range)
  }
  let praise = 0
  let blame = 0
  for (const range of ranges.values()) {
    praise += range.praise
    blame += range.blame
  }
  return Math.min(HEARSAY_MAX, praise) + Math.max(-HEARSAY_MAX, blame)
}

/**
 * What is left of it beside what was seen. `strength` is how much evidence has moved the view, in score (`strengthAt`): where that is
 * HEARSAY_MAX, half of what is heard counts. So no set of recommenders outweighs a direct record that is 0.1 from the baseline:
 * HEARSAY_MAX² ÷ (HEARSAY_MAX + 0.1) = 0.09.
 */
export function besideSeen(heard: number, strength: number): number {
  return (heard * HEARSAY_MAX) / (HEARSAY_MAX + strength)
}
