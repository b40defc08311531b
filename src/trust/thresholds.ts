import type { Action } from './contract.ts'
import type { Views } from './model/account.ts'
import { overall } from './model/account.ts'

/** `trust.thresholds` of the configuration. */
export interface Thresholds {
  readonly connect: number
  readonly gossip: number
  readonly serve: number
  readonly fetch: number
  readonly relay: number
  readonly store: number
  readonly place: number
  readonly proxy: number
  readonly catalogue: number
  readonly keep: number
  readonly recommend: number
}

/** What of a peer is asked for an action: that it never lied, that it keeps what it is given, or all together. */
export type Measure = 'honesty' | 'storage' | 'score'

export interface Rule {
  readonly threshold: keyof Thresholds
  readonly measure: Measure
  /** Only what was seen counts, not what others say. */
  readonly isSeenOnly?: true
}

/** Who is slow may still be talked to and served; only who is to do something for us is measured by what it did. */
export const RULES: Readonly<Record<Action, Rule>> = {
  dial: { threshold: 'connect', measure: 'honesty' },
  accept: { threshold: 'connect', measure: 'honesty' },
  gossip: { threshold: 'gossip', measure: 'honesty' },
  'serve-content': { threshold: 'serve', measure: 'honesty' },
  'serve-bitswap': { threshold: 'serve', measure: 'honesty' },
  'serve-chunk': { threshold: 'serve', measure: 'honesty' },
  'dht-record': { threshold: 'serve', measure: 'honesty' },
  fetch: { threshold: 'fetch', measure: 'honesty' },
  relay: { threshold: 'relay', measure: 'honesty' },
  store: { threshold: 'store', measure: 'honesty' },
  place: { threshold: 'place', measure: 'storage' },
  proxy: { threshold: 'proxy', measure: 'score' },
  catalogue: { threshold: 'catalogue', measure: 'honesty' },
  keep: { threshold: 'keep', measure: 'score' },
  entrust: { threshold: 'place', measure: 'score' },
  // Nobody becomes a recommender by recommendation: trust goes one hop.
  recommend: { threshold: 'recommend', measure: 'score', isSeenOnly: true },
}

/** Sums of decimal fractions miss by less; 0.5 less four times 0.1 is 0.1. */
const ROUNDING = 1e-9

export function reaches(value: number, threshold: number): boolean {
  return value >= threshold - ROUNDING
}

/** The number in [0, 1] that a measure takes from the views. */
export function measured(views: Views, measure: Measure): number {
  if (measure === 'honesty') return views.honesty
  return overall(measure === 'storage' ? views.storage : views.honesty, views.reliability)
}
