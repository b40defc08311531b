import {
  decodeBundle,
  decodeRecommendation,
  MAX_BUNDLE_BYTES,
  MAX_CLOCK_SKEW_MS,
} from '../../../protocols/trust/index.ts'
import { forgetOldest } from '../../../protocols/shared/forget-oldest.ts'
import type { TopicRules } from '../../gossip/topics.ts'
import { BUNDLE_RATE, MAX_BUNDLE_AGE_MS, MAX_REMEMBERED } from './limits.ts'

export const RECOMMENDATIONS_TOPIC = 'recommendations'

/**
 * What nodes say of others. A bundle is its author's own words, and new: one that was recorded cannot be played again for longer
 * than it is remembered here. Signatures within it are looked at by those to whom they matter.
 */
export function recommendationsTopic(now: () => number = Date.now): TopicRules {
  const seen = new Map<string, bigint>()
  return {
    name: RECOMMENDATIONS_TOPIC,
    maxBytes: MAX_BUNDLE_BYTES,
    authorRate: BUNDLE_RATE,
    check({ author, data }) {
      try {
        let isNew = false
        for (const signed of decodeBundle(data)) {
          const said = decodeRecommendation(signed)
          // Of a later version: passed on for those who understand it.
          if (said === undefined) {
            isNew = true
            continue
          }
          if (said.by.toString() !== author) return 'reject'
          const ageMs = now() - said.atMs
          if (ageMs > MAX_BUNDLE_AGE_MS || ageMs < -MAX_CLOCK_SKEW_MS) return 'ignore'
          const key = `${author} ${said.view} ${said.subject.toString()}`
          if (said.sequence <= (seen.get(key) ?? -1n)) continue
          seen.delete(key)
          forgetOldest(seen, MAX_REMEMBERED)
          seen.set(key, said.sequence)
          isNew = true
        }
        return isNew ? 'accept' : 'ignore'
      } catch {
        return 'reject'
      }
    },
  }
}
