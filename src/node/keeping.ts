import type { Config } from '../../config/index.ts'
import { type Announcements, createAnnouncements } from '../content/announce/index.ts'
import { createPolicies, type PoliciesOptions, type RunningPolicies } from '../content/policy/index.ts'
import type { Gossip } from '../gossip/index.ts'

export interface KeepingOptions extends Omit<PoliciesOptions, 'config' | 'announcements'> {
  config: Config
  gossip: Gossip
}

/** What is told of new content, and what is kept for whom. */
export function createKeeping(options: KeepingOptions): {
  announcements: Announcements
  policies: RunningPolicies
} {
  const { config, gossip, isPrivate, log } = options
  const { announce, keep } = config.content
  const { thresholds } = config.trust
  const announcements = createAnnouncements({ config: announce, gossip, isPrivate, log })
  const policies = createPolicies({
    ...options,
    announcements,
    config: {
      ...keep,
      minScore: thresholds.keep,
      autoFetch: {
        isOn: announce.autoFetch,
        budgetBytes: announce.budgetBytes,
        minScore: thresholds.autoFetch,
      },
    },
  })
  return { announcements, policies }
}
