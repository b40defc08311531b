import type { Message, TopicValidatorFn } from '@libp2p/gossipsub'
import { TopicValidatorResult } from '@libp2p/gossipsub'
import type { Logger } from '../telemetry/types.ts'
import type { Evidence, Policy } from '../trust/contract.ts'
import { RateLimits } from './rate.ts'
import type { GossipMessage, TopicRules, Verdict } from './topics.ts'

/** Authors whose rate is remembered, by topic: about 100 bytes each. */
export const AUTHORS_MAX = 20_000
/**
 * What one neighbour may bring in all topics: more than the 2 000 messages a second that a node can verify, so that it
 * is reached only by a flood. Over it, the neighbour is not read for a while (`isFlooding`).
 */
const NEIGHBOUR_RATE = { perSecond: 2_000, burst: 4_000 }
const NEIGHBOURS_MAX = 10_000
const FLOOD_PAUSE_MS = 60_000

export interface ValidatorOptions {
  /** By full topic name. */
  topics: ReadonlyMap<string, TopicRules>
  trust: Policy & Evidence
  /** Text form of this node's own peer id. */
  self?: string | undefined
  log: Logger
  now: () => number
}

export interface Validator {
  readonly validate: TopicValidatorFn
  /** True for a neighbour that went over its rate within the last minute. */
  isFlooding(peer: string): boolean
  /** Messages since start by what became of them. */
  counts(): Record<'accepted' | 'ignored' | 'rejected', number>
}

const RESULT: Readonly<Record<Verdict, TopicValidatorResult>> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
}

/**
 * Decides what is delivered and forwarded. gossipsub has verified the signature before it asks, and takes a throw for
 * `ignore`, so that nothing is thrown here on purpose; reject is said only where the neighbour could have known better.
 */
export function createValidator({ topics, trust, self, log, now }: ValidatorOptions): Validator {
  const authors = new RateLimits(AUTHORS_MAX, now)
  const neighbours = new RateLimits(NEIGHBOURS_MAX, now)
  const floodingUntilMs = new Map<string, number>()
  const counts = { accepted: 0, ignored: 0, rejected: 0 }

  function noteFlood(peer: string): void {
    if (!floodingUntilMs.has(peer)) {
      trust.report(peer, 'limit-exceeded', { limit: 'gossip-neighbour-rate' })
    }
    floodingUntilMs.delete(peer)
    const oldest = floodingUntilMs.keys().next()
    if (floodingUntilMs.size >= NEIGHBOURS_MAX && oldest.done !== true) {
      floodingUntilMs.delete(oldest.value)
    }
    floodingUntilMs.set(peer, now() + FLOOD_PAUSE_MS)
  }

  function reject(from: string, topic: string, reason: string): Verdict {
    trust.report(from, 'message-invalid', { topic, reason })
    return 'reject'
  }

  async function judge(from: string, message: Message): Promise<Verdict> {
    const rules = topics.get(message.topic)
    if (rules === undefined) {
      return reject(from, message.topic, 'topic')
    }
    if (message.type !== 'signed') {
      return reject(from, rules.name, 'unsigned')
    }
    if (!neighbours.take(from, NEIGHBOUR_RATE)) {
      noteFlood(from)
      return 'ignore'
    }
    const author = message.from.toString()
    // Its own words come back from whoever has recorded them; the transport itself knows them for two minutes.
    if (author === self) {
      return 'ignore'
    }
    if (message.data.byteLength > rules.maxBytes) {
      return reject(from, rules.name, 'size')
    }
    // A neighbour that forwards the words of somebody whom only this node refuses does nothing wrong.
    if (
      !trust.decide(from, 'gossip', { topic: rules.name }).allowed ||
      (author !== from && !trust.decide(author, 'gossip', { topic: rules.name }).allowed)
    ) {
      return 'ignore'
    }
    const seen: GossipMessage = { author, topic: rules.name, data: message.data }
    const cost = rules.cost?.(seen) ?? 1
    if (cost === 'reject') {
      return reject(from, rules.name, 'content')
    }
    if (cost === 'ignore') {
      return 'ignore'
    }
    if (!authors.take(`${rules.name} ${author}`, rules.authorRate, cost)) {
      // Of what others bring nobody knows when it was said: they may have kept it and bring it all at once.
      if (author === from) {
        trust.report(author, 'limit-exceeded', { limit: 'gossip-author-rate', topic: rules.name })
      }
      return 'ignore'
    }
    const verdict = (await rules.check?.(seen)) ?? 'accept'
    if (verdict === 'reject') {
      return reject(from, rules.name, 'content')
    }
    if (verdict === 'accept') {
      trust.report(from, 'message-valid', { bytes: message.data.byteLength })
    }
    return verdict
  }

  return {
    async validate(peer, message) {
      let verdict: Verdict
      try {
        verdict = await judge(peer.toString(), message)
      } catch (error) {
        log.warn({ err: error, topic: message.topic.slice(0, 128) }, 'the check of a gossip message failed')
        verdict = 'ignore'
      }
      counts[verdict === 'accept' ? 'accepted' : verdict === 'ignore' ? 'ignored' : 'rejected']++
      return RESULT[verdict]
    },
    isFlooding(peer) {
      const untilMs = floodingUntilMs.get(peer)
      if (untilMs === undefined) {
        return false
      }
      if (untilMs <= now()) {
        floodingUntilMs.delete(peer)
        return false
      }
      return true
    },
    counts: () => ({ ...counts }),
  }
}
