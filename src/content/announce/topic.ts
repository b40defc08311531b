import {
  decodeAnnouncement,
  MAX_ANNOUNCEMENT_BYTES,
  MAX_CLOCK_SKEW_MS,
  MAX_STATEMENT_AGE_MS,
} from '../../../protocols/keep/index.ts'
import { forgetOldest } from '../../../protocols/shared/forget-oldest.ts'
import type { TopicRules } from '../../gossip/topics.ts'
import { ANNOUNCEMENT_RATE, MAX_REMEMBERED } from './limits.ts'

export const ANNOUNCEMENTS_TOPIC = 'announcements'

/**
 * New public content. Its author signed the message for gossip, and it holds in one network since the topic carries the
 * network's name. What an author has announced is not passed on again, and nothing old is: a recorded message cannot be
 * played again for longer than it is remembered here.
 */
export function announcementsTopic(now: () => number = Date.now): TopicRules {
  const seen = new Map<string, number>()
  return {
    name: ANNOUNCEMENTS_TOPIC,
    maxBytes: MAX_ANNOUNCEMENT_BYTES,
    authorRate: ANNOUNCEMENT_RATE,
    check({ author, data }) {
      let announcement: ReturnType<typeof decodeAnnouncement>
      try {
        announcement = decodeAnnouncement(data)
      } catch {
        return 'reject'
      }
      const ageMs = now() - announcement.atMs
      if (ageMs > MAX_STATEMENT_AGE_MS || ageMs < -MAX_CLOCK_SKEW_MS) return 'ignore'
      const key = `${author} ${announcement.cid.toString()}`
      const before = seen.get(key)
      // The same again later is an announcement of its own: somebody may have come meanwhile.
      if (before !== undefined && announcement.atMs - before < MAX_STATEMENT_AGE_MS) return 'ignore'
      seen.delete(key)
      seen.set(key, announcement.atMs)
      forgetOldest(seen, MAX_REMEMBERED)
      return 'accept'
    },
  }
}
