import { decodeBatch } from '../../protocols/catalog/index.ts'
import { MAX_BATCH_BYTES } from '../../protocols/catalog/limits.ts'
import type { TopicRules, Verdict } from '../gossip/topics.ts'
import type { Intake } from './intake.ts'
import { peerOf } from './intake.ts'
import { AUTHOR_RATE } from './limits.ts'

export const CATALOG_TOPIC = 'catalog'

/**
 * Records as their publisher tells them. Whoever else has them gives them by anti-entropy: so that nobody can make a node
 * pass on the whole catalogue by gossip.
 */
export function catalogTopic(intake: Intake): TopicRules {
  return {
    name: CATALOG_TOPIC,
    maxBytes: MAX_BATCH_BYTES,
    authorRate: AUTHOR_RATE,
    check({ author, data }): Verdict {
      let records: ReturnType<typeof decodeBatch>
      try {
        records = decodeBatch(data)
      } catch {
        return 'reject'
      }
      const [first] = records
      if (first === undefined || peerOf(first.publisher) !== author) return 'reject'
      if (records.some(({ publisher }) => Buffer.compare(publisher, first.publisher) !== 0)) return 'reject'
      const judgements = records.map((record) => intake.judge(record))
      if (judgements.includes('invalid')) return 'reject'
      return judgements.includes('new') ? 'accept' : 'ignore'
    },
  }
}
