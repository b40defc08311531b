/**
 * Gossip: small signed messages that reach everybody in the network, under topics that carry the network's name.
 *
 * ```ts
 * const gossip = createGossip({ networkName: 'main', topics: [catalogTopic], trust, log })
 * const libp2p = await createLibp2p(libp2pOptions({ …, gossip: gossip.rules }))
 * gossip.start(libp2p.services.pubsub)
 * const end = gossip.subscribe('catalog', async (message, signal) => { … })
 * await gossip.publish('catalog', bytes)
 * gossip.stop()
 * ```
 *
 * What is published travels in an envelope with sequence and time, so that nothing is taken twice or late, over restarts too; what
 * is published in one turn travels together. A topic brings its own `check`, and `subscribe` delivers what passed. Delivery is
 * best effort: what must converge is compared as a set besides (convergence/). What this node says keeps to a pace (own-pace.ts).
 */
import type { GossipSub, Message } from '@libp2p/gossipsub'
import type { Logger } from '../telemetry/types.ts'
import type { Evidence, Policy, Scores } from '../trust/contract.ts'
import { BUNDLE_OVERHEAD_BYTES } from '../../protocols/message/index.ts'
import { Bundles } from './bundles.ts'
import { gossipStopped, messageTooLarge, publishBusy, tooManySubscribers, topicUnknown } from './errors.ts'
import { OwnPace } from './own-pace.ts'
import type { GossipHandler } from './subscriber.ts'
import { Subscriber } from './subscriber.ts'
import type { TopicRules } from './topics.ts'
import { fullTopic, TOPIC_MAX_BYTES } from './topics.ts'
import type { SendersOptions } from './senders.ts'
import { createValidator } from './validator.ts'

export type { GossipHandler } from './subscriber.ts'
export type { GossipMessage, TopicRules, Verdict } from './topics.ts'
export { fullTopic, TOPIC_MAX_BYTES } from './topics.ts'

/** Handlers of one topic: services of this daemon, not users. */
const SUBSCRIBERS_MAX = 32
/**
 * How much a peer's honesty is worth in gossipsub's units: nothing for a newcomer (0.5), up to +10 for one that never lied, so that it
 * is rather kept in a mesh; −10 (no gossip goes there) at 0.45, −50 (nothing is published there) at 0.25, −80 (nothing is read) at 0.1,
 * which is where a connection ends by default. Only honesty: whoever is slow may hear everything.
 */
const UNITS_ABOVE = 20
const UNITS_BELOW = 200
const NEWCOMER_SCORE = 0.5
/** In gossipsub's units: below its graylist threshold of −80 whatever good the peer does, so that nothing of it is read. */
const SHUNNED_SCORE = -10_000

export interface GossipOptions {
  networkName: string
  topics: readonly TopicRules[]
  trust: Policy & Evidence & Scores
  /** Text form of this node's peer id: what neighbours bring of its own is not heard. */
  self?: string
  log: Logger
  /** Called with the topic where a handler had no room for a message. */
  onDropped?: (topic: string) => void
  /** Remembers over restarts what was heard; without it the node takes once more what is younger than five minutes. */
  state?: SendersOptions['state']
  /** Milliseconds; tests pass their own. */
  now?: () => number
}

export interface GossipStatistics {
  accepted: number
  ignored: number
  rejected: number
  /** Of those ignored: messages that were heard before, and those that are too old or of the future. */
  repeated: number
  stale: number
  published: number
  /** Payloads in those that were published, where several travel together. */
  bundled: number
  /** Messages that no handler had room for. */
  dropped: number
}

export interface Gossip {
  /** What the transport below must know when it is built. */
  readonly rules: { readonly topics: readonly string[]; peerScore(peer: string): number }
  /** Sets the validators and begins to deliver. Called again with the same transport, it does nothing. */
  start(pubsub: GossipSub): void
  stop(): void
  /**
   * Signs and sends; resolves with the number of neighbours it went to, which may be 0. What is over this node's pace under the topic
   * waits its turn; where messages have an envelope of their own it is refused.
   *
   * @throws ERR_TOPIC_UNKNOWN, ERR_MESSAGE_TOO_LARGE, ERR_GOSSIP_STOPPED, ERR_GOSSIP_BUSY (too much waits, or over the pace)
   */
  publish(topic: string, data: Uint8Array): Promise<number>
  /**
   * Handles what others publish under a topic (short name), one message at a time; returns the function that ends it.
   *
   * @throws ERR_TOPIC_UNKNOWN, ERR_GOSSIP_SUBSCRIBERS
   */
  subscribe(topic: string, handler: GossipHandler): () => void
  /** Short names of all topics. */
  topics(): string[]
  /** Neighbours that follow a topic, as text. @throws ERR_TOPIC_UNKNOWN */
  subscribers(topic: string): string[]
  statistics(): GossipStatistics
}

export function createGossip(options: GossipOptions): Gossip {
  const { networkName, topics, trust, self, log, state, onDropped, now = Date.now } = options
  const partLog = log.child({ part: 'gossip' })
  const byName = new Map(topics.map((rules) => [rules.name, rules]))
  const byFullName = new Map(topics.map((rules) => [fullTopic(networkName, rules.name), rules]))
  const subscribed = new Map<string, Set<Subscriber>>()
  const bundles = new Bundles({ state, log: partLog, now })
  const pace = new OwnPace({ topics: topics.length, now })
  const travelling = new Map(
    [...byFullName].map(([name, rules]) => [name, rules.hasEnvelope ? rules : bundles.around(rules)]),
  )
  const validator = createValidator({ topics: travelling, trust, self, log: partLog, now })
  let transport: GossipSub | undefined
  let published = 0
  let dropped = 0

  for (const { name, maxBytes, hasEnvelope } of topics) {
    const most = TOPIC_MAX_BYTES - (hasEnvelope ? 0 : BUNDLE_OVERHEAD_BYTES)
    if (maxBytes > most) throw new RangeError(`topic ${name} allows ${maxBytes} bytes; ${most} is the bound`)
  }

  function rulesOf(topic: string): TopicRules {
    const rules = byName.get(topic)
    if (rules === undefined) {
      throw topicUnknown(topic, [...byName.keys()])
    }
    return rules
  }

  function onMessage(event: CustomEvent<Message>): void {
    const message = event.detail
    const rules = byFullName.get(message.topic)
    if (rules === undefined || message.type !== 'signed') {
      return
    }
    const author = message.from.toString()
    for (const data of rules.hasEnvelope ? [message.data] : bundles.payloads(message.data)) {
      for (const subscriber of subscribed.get(rules.name) ?? []) {
        subscriber.deliver({ author, topic: rules.name, data })
      }
    }
  }

  async function send(topic: string, data: Uint8Array): Promise<number> {
    if (transport === undefined) throw gossipStopped()
    const { recipients } = await transport.publish(fullTopic(networkName, topic), data)
    published++
    return recipients.length
  }

  return {
    rules: {
      topics: [...byFullName.keys()],
      // A neighbour that floods is shunned before its messages cost a signature check each.
      peerScore: (peer) =>
        validator.isFlooding(peer) ? SHUNNED_SCORE : worthOf(trust.score(peer, 'honesty')),
    },

    start(pubsub) {
      if (transport === pubsub) {
        return
      }
      transport = pubsub
      for (const topic of byFullName.keys()) {
        pubsub.topicValidators.set(topic, validator.validate)
      }
      for (const name of subscribed.keys()) {
        pubsub.subscribe(fullTopic(networkName, name))
      }
      pubsub.addEventListener('message', onMessage)
      bundles.start()
    },

    stop() {
      transport?.removeEventListener('message', onMessage)
      transport = undefined
      for (const subscribers of subscribed.values()) {
        for (const subscriber of subscribers) {
          subscriber.stop()
        }
      }
      subscribed.clear()
      pace.stop()
      bundles.stop()
    },

    async publish(topic, data) {
      const rules = rulesOf(topic)
      if (data.byteLength > rules.maxBytes) {
        throw messageTooLarge(topic, data.byteLength, rules.maxBytes)
      }
      if (transport === undefined) {
        throw gossipStopped()
      }
      const isInPace = pace.take(rules)
      if (rules.hasEnvelope) {
        // Its sender may try again or give up, and has put the time into it already.
        if (!isInPace) throw publishBusy(topic)
        return send(topic, data)
      }
      if (!isInPace) await pace.wait(rules, data.byteLength)
      return bundles.publish(topic, data, (bundle) => send(topic, bundle))
    },

    subscribe(topic, handler) {
      const { name } = rulesOf(topic)
      const ofTopic = subscribed.get(name) ?? new Set()
      if (ofTopic.size >= SUBSCRIBERS_MAX) {
        throw tooManySubscribers(name, SUBSCRIBERS_MAX)
      }
      const subscriber = new Subscriber(handler, partLog, () => {
        dropped++
        onDropped?.(name)
      })
      ofTopic.add(subscriber)
      if (!subscribed.has(name)) {
        subscribed.set(name, ofTopic)
        transport?.subscribe(fullTopic(networkName, name))
      }
      return () => {
        subscriber.stop()
        ofTopic.delete(subscriber)
        if (ofTopic.size === 0 && subscribed.get(name) === ofTopic) {
          subscribed.delete(name)
          transport?.unsubscribe(fullTopic(networkName, name))
        }
      }
    },

    topics: () => [...byName.keys()],
    subscribers(topic) {
      rulesOf(topic)
      return transport?.getSubscribers(fullTopic(networkName, topic)).map((peer) => peer.toString()) ?? []
    },
    statistics: () => ({ ...validator.counts(), ...bundles.counts(), published, dropped }),
  }
}

function worthOf(honesty: number): number {
  const above = honesty - NEWCOMER_SCORE
  return above * (above > 0 ? UNITS_ABOVE : UNITS_BELOW)
}
