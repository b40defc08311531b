import { BYTES_PER_SOURCE, MOST_SOURCES, ONE_SOURCE_BYTES, USUAL_SOURCES } from './limits.ts'
import type { ContentFacts, Preference } from './types.ts'

/** As `config.content.router` holds them. */
export interface PreferenceRules {
  readonly smallBelowBytes: number
  readonly largeFromBytes: number
  readonly recentWithinMs: number
  readonly archivedAfterMs: number
  readonly prefer: Readonly<
    Record<'private' | 'recent' | 'small' | 'public' | 'large' | 'archived', Preference>
  >
}

/** What the rules that apply say together: a majority, of rules whose facts are known. */
export function preferenceOf(facts: ContentFacts, rules: PreferenceRules): Preference {
  const { prefer } = rules
  const { isPrivate = false, sizeBytes, ageMs } = facts
  const votes = [isPrivate ? prefer.private : prefer.public]
  if (sizeBytes !== undefined) {
    if (sizeBytes < rules.smallBelowBytes) votes.push(prefer.small)
    if (sizeBytes >= rules.largeFromBytes) votes.push(prefer.large)
  }
  if (ageMs !== undefined) {
    if (ageMs <= rules.recentWithinMs) votes.push(prefer.recent)
    if (ageMs > rules.archivedAfterMs) votes.push(prefer.archived)
  }
  const balance = votes.reduce((sum, vote) => sum + (vote === 'p2p' ? 1 : vote === 'ipfs' ? -1 : 0), 0)
  if (balance === 0) return 'none'
  return balance > 0 ? 'p2p' : 'ipfs'
}

/**
 * Sources that content of this size is worth: a small thing comes from the nearest alone, and a further source for a large
 * one costs more than it brings unless it gets its share of work.
 */
export function optimalCount(sizeBytes: number | undefined): number {
  if (sizeBytes === undefined) return USUAL_SOURCES
  if (sizeBytes <= ONE_SOURCE_BYTES) return 1
  return Math.min(MOST_SOURCES, Math.max(USUAL_SOURCES, Math.ceil(sizeBytes / BYTES_PER_SOURCE)))
}
