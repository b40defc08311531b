import type { Redundancy } from '../types.ts'

/**
 * Part of all columns that goes to peers which have proved nothing yet, where there are others: else nobody new were ever
 * tried, and a third of them may be hostile. Storj gives newcomers a twentieth of its segments ("node selection", NewNodeFraction 0.05); a
 * slab here is on eight holders and not on a hundred, so that a twentieth would try one in three puts.
 */
const NEWCOMERS_SHARE = 0.1

/**
 * Of the n columns of a slab so many may be with holders that have proved nothing: if all of those are lost, as many again may be lost
 * by others before it cannot be read any more.
 */
export function mostUnproven({ k, n }: Redundancy): number {
  return Math.floor((n - k) / 2)
}

/**
 * The same items, the weights of those that have proved nothing made less by one factor, so that all of them together have their
 * share of all weights at most. Their order among themselves stays; where nobody has proved anything nothing changes.
 */
export function withNewcomersShare<Item extends { weight: number; isProven: boolean }>(
  items: readonly Item[],
): Item[] {
  const weightOf = (isProven: boolean): number =>
    items.reduce((sum, item) => (item.isProven === isProven ? sum + item.weight : sum), 0)
  const proven = weightOf(true)
  const unproven = weightOf(false)
  if (proven === 0 || unproven === 0) return [...items]
  const factor = Math.min(1, ((NEWCOMERS_SHARE / (1 - NEWCOMERS_SHARE)) * proven) / unproven)
  return items.map((item) => (item.isProven ? item : { ...item, weight: item.weight * factor }))
}
