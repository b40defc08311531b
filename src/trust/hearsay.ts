import { forgetOldest } from '../../protocols/shared/forget-oldest.ts'
import { strengthAt, type Views } from './model/account.ts'
import { besideSeen, HEARD_VIEWS, type HeardView, heardTogether, worthOf } from './model/hearsay.ts'
import type { HeardStore } from './recommend/heard.ts'
import { HEARD_FRESH_MS } from './recommend/limits.ts'
import type { Heard } from './recommend/types.ts'
import type { PeerAccount } from './scores.ts'

/** Sums that are remembered between two questions: those who are asked about all the time. */
const MAX_SUMS = 10_000

/** A recommendation, and what it counts. */
export interface ExplainedOpinion {
  by: string
  view: HeardView
  score: number
  evidence: number
  atMs: number
  /** Where the recommender is connected from; empty where that is not known. */
  range: string
  /** The recommender's own score, by what was seen of it. */
  recommender: number
  /** What it would add or take by itself, where nothing was seen. */
  worth: number
}

export interface HearsayOptions {
  heard: HeardStore
  /** The score of a recommender by what was seen of it; 0 for one who is not heard. */
  standing: (author: string, nowMs: number) => number
}

/** What others say, beside what was seen. */
export interface Hearsay {
  /** The views with what is heard; `seen` itself where nothing is. What is kept for others never depends on it. */
  added(peer: string, seen: Views, entry: PeerAccount | undefined, nowMs: number): Views
  /** What is added to each view, and by whom. */
  explain(
    peer: string,
    entry: PeerAccount | undefined,
    nowMs: number,
  ): { added: Record<HeardView, number>; opinions: ExplainedOpinion[] }
  /** Something new was heard, or who is heard has changed. */
  changed(): void
}

export function createHearsay({ heard, standing }: HearsayOptions): Hearsay {
  const sums = new Map<string, { atMs: number; of: Record<HeardView, number> }>()

  function opinionOf({ author, score, evidence, atMs, range }: Heard, nowMs: number) {
    return { score, evidence, atMs, range, recommender: standing(author, nowMs) }
  }

  function sumsOf(peer: string, nowMs: number): Record<HeardView, number> {
    const known = sums.get(peer)
    if (known !== undefined && Math.abs(nowMs - known.atMs) < HEARD_FRESH_MS) return known.of
    const all = heard.of(peer)
    const of = (view: HeardView): number => {
      const ofView = all.filter((each) => each.view === view)
      return heardTogether(
        ofView.map((each) => opinionOf(each, nowMs)),
        nowMs,
      )
    }
    const made = { honesty: of('honesty'), reliability: of('reliability') }
    sums.delete(peer)
    forgetOldest(sums, MAX_SUMS)
    sums.set(peer, { atMs: nowMs, of: made })
    return made
  }

  function addedTo(peer: string, entry: PeerAccount | undefined, nowMs: number): Record<HeardView, number> {
    const of = sumsOf(peer, nowMs)
    const beside = (view: HeardView): number =>
      besideSeen(of[view], entry === undefined ? 0 : strengthAt(entry.account, nowMs, view))
    return { honesty: beside('honesty'), reliability: beside('reliability') }
  }

  return {
    added(peer, seen, entry, nowMs) {
      if (!heard.has(peer)) return seen
      const added = addedTo(peer, entry, nowMs)
      return {
        ...seen,
        honesty: within(seen.honesty + added.honesty),
        reliability: within(seen.reliability + added.reliability),
      }
    },
    explain(peer, entry, nowMs) {
      const opinions = heard.of(peer).map((each) => {
        const opinion = opinionOf(each, nowMs)
        return { by: each.author, view: each.view, ...opinion, worth: worthOf(opinion, nowMs) }
      })
      const added = addedTo(peer, entry, nowMs)
      return {
        added,
        opinions: HEARD_VIEWS.flatMap((view) =>
          opinions
            .filter((opinion) => opinion.view === view)
            .toSorted((one, other) => Math.abs(other.worth) - Math.abs(one.worth)),
        ),
      }
    },
    changed: () => sums.clear(),
  }
}

/** A score that is one. */
export function within(value: number): number {
  return Math.min(1, Math.max(0, value))
}
