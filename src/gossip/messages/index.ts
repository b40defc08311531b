/**
 * What applications say to each other: signed, told once, in time, over restarts.
 *
 * ```ts
 * const messages = createAppMessages({ state, log, self })
 * const gossip = createGossip({ …, topics: [...messages.rules] })
 * services: { message: message({ …, take: messages.take }) }
 * messages.start({ gossip, message: libp2p.services.message })
 * for await (const { sender, payload } of messages.listen('weather', signal)) …
 * ```
 */
import { hash } from 'node:crypto'
import {
  decodeEnvelope,
  encodeEnvelope,
  type Envelope,
  isTopic,
  MAX_PAYLOAD_BYTES,
  MAX_TOPIC_CHARACTERS,
  type Messages,
  type TakeMessage,
} from '../../../protocols/message/index.ts'
import { Status } from '../../../protocols/shared/status.ts'
import type { Logger } from '../../telemetry/types.ts'
import { gossipStopped, messageTooLarge } from '../errors.ts'
import type { Gossip } from '../index.ts'
import { MAX_SENDERS } from '../limits.ts'
import { RateLimits } from '../rate.ts'
import { openSenders, type SendersOptions } from '../senders.ts'
import { createSequence } from '../sequence.ts'
import { type GossipMessage, TOPIC_MAX_BYTES, type TopicRules, type Verdict } from '../topics.ts'
import { topicInvalid, tooManyListeners } from './errors.ts'
import { AUTHOR_RATE, MAX_LISTENERS, PARTS, SENDER_RATE } from './limits.ts'
import { Listener } from './listener.ts'
import type { AppMessage, AppMessages } from './types.ts'

export type { AppMessages } from './types.ts'

export interface AppMessagesOptions {
  state: NonNullable<SendersOptions['state']>
  log: Logger
  /** Text form of this node's peer id. */
  self: string
  /** Milliseconds since the Unix epoch; tests pass their own. */
  now?: () => number
}

export interface RunningAppMessages extends AppMessages {
  /** What gossip must be told when it is built. */
  readonly rules: readonly TopicRules[]
  /** For the message protocol. */
  readonly take: TakeMessage
  /**
   * Has every message of a topic told, as it is heard and in the same turn; `hear` says whether it has room for it. Counts as a
   * listener, without the bound on those: whoever attaches has one of its own. Returns the function that ends it.
   *
   * @throws ERR_MESSAGE_TOPIC, ERR_GOSSIP_STOPPED
   */
  attach(topic: string, hear: (message: AppMessage) => boolean): () => void
  start(services: {
    gossip: Pick<Gossip, 'publish' | 'subscribe' | 'subscribers'>
    message: Pick<Messages, 'send'>
  }): void
  /** Ends whoever listens. */
  stop(): void
}

/** Who is told of what is said under a topic. */
interface Hearer {
  /** False where there was no room for it. */
  hear(message: AppMessage): boolean
  end(): void
}

export function createAppMessages(options: AppMessagesOptions): RunningAppMessages {
  const { state, self, now = Date.now } = options
  const log = options.log.child({ part: 'messages' })
  const senders = openSenders({ state, log, now })
  const rates = new RateLimits(MAX_SENDERS, now)
  const listeners = new Map<string, Set<Hearer>>()
  let listening = 0
  /** By part: how many listen to topics in it, and what ends the subscription. */
  const parts = new Map<string, { count: number; end: () => void }>()
  const nextSequence = createSequence(now)
  /** What was opened to see what it costs, of messages that are looked at next. */
  const openedNow = new WeakMap<Uint8Array, Envelope>()
  const figures = { published: 0, sent: 0, heard: 0, repeated: 0, stale: 0, dropped: 0 }
  let services: Parameters<RunningAppMessages['start']>[0] | undefined

  function checkOwn(topic: string, payload?: Uint8Array): void {
    if (!isTopic(topic)) throw topicInvalid(MAX_TOPIC_CHARACTERS)
    if (payload !== undefined && payload.byteLength > MAX_PAYLOAD_BYTES)
      throw messageTooLarge(topic, payload.byteLength, MAX_PAYLOAD_BYTES)
  }

  /** Whether anybody listens. */
  function deliver(message: AppMessage): boolean {
    const ofTopic = listeners.get(message.topic)
    if (ofTopic === undefined) return false
    figures.heard += 1
    let hasRoom = false
    for (const listener of ofTopic) {
      if (listener.hear(message)) hasRoom = true
      else figures.dropped += 1
    }
    return hasRoom
  }

  /** Undefined where it is none, or lies in another part. */
  function opened({ topic: part, data }: GossipMessage): Envelope | undefined {
    try {
      const envelope = decodeEnvelope(data)
      return partOf(envelope.topic) === part ? envelope : undefined
    } catch {
      return undefined
    }
  }

  /** Asked by gossip before it counts a message. */
  function cost(message: GossipMessage): number | 'ignore' | 'reject' {
    const envelope = opened(message)
    if (envelope === undefined) return 'reject'
    const freshness = senders.look(message.author, envelope.sequence, envelope.timeMs)
    if (freshness === 'fresh') {
      openedNow.set(message.data, envelope)
      return 1
    }
    figures[freshness] += 1
    return 'ignore'
  }

  /** Asked by gossip once a message, before it is forwarded or delivered. */
  function check(message: GossipMessage): Verdict {
    const envelope = openedNow.get(message.data) ?? opened(message)
    if (envelope === undefined) return 'reject'
    const freshness = senders.take(message.author, envelope.sequence, envelope.timeMs)
    if (freshness === 'fresh') return 'accept'
    figures[freshness] += 1
    return 'ignore'
  }

  function follow(topic: string): () => void {
    const name = partOf(topic)
    const known = parts.get(name)
    if (known !== undefined) known.count += 1
    else {
      const end = services?.gossip.subscribe(name, ({ author, data }) => {
        deliver({ ...decodeEnvelope(data), sender: author, direct: false, droppedBefore: 0 })
      })
      parts.set(name, { count: 1, end: end ?? (() => {}) })
    }
    return () => {
      const part = parts.get(name)
      if (part === undefined || --part.count > 0) return
      parts.delete(name)
      part.end()
    }
  }

  /** Puts a hearer in place; returns the function that takes it out. */
  function join(topic: string, hearer: Hearer): () => void {
    const unfollow = follow(topic)
    const ofTopic = listeners.get(topic) ?? new Set()
    listeners.set(topic, ofTopic)
    ofTopic.add(hearer)
    return () => {
      if (!ofTopic.delete(hearer)) return
      if (ofTopic.size === 0 && listeners.get(topic) === ofTopic) listeners.delete(topic)
      unfollow()
    }
  }

  return {
    rules: Array.from({ length: PARTS }, (_, index) => ({
      name: partName(index),
      maxBytes: TOPIC_MAX_BYTES,
      authorRate: AUTHOR_RATE,
      hasEnvelope: true,
      cost,
      check,
    })),
    take(sender, envelope) {
      if (!rates.take(sender, SENDER_RATE)) return Status.busy
      // Before the number is taken: what nobody hears may be sent again.
      if (!listeners.has(envelope.topic)) return Status.busy
      const freshness = senders.take(sender, envelope.sequence, envelope.timeMs)
      if (freshness !== 'fresh') {
        figures[freshness] += 1
        return Status.invalid
      }
      return deliver({ ...envelope, sender, direct: true, droppedBefore: 0 }) ? Status.ok : Status.busy
    },
    start(given) {
      services = given
      senders.start()
    },
    stop() {
      for (const ofTopic of listeners.values()) for (const listener of ofTopic) listener.end()
      services = undefined
      senders.stop()
    },
    async publish(topic, payload) {
      checkOwn(topic, payload)
      if (services === undefined) throw gossipStopped()
      const envelope = { topic, sequence: nextSequence(), timeMs: now(), payload }
      const recipients = await services.gossip.publish(partOf(topic), encodeEnvelope(envelope))
      figures.published += 1
      deliver({ ...envelope, sender: self, direct: false, droppedBefore: 0 })
      return recipients
    },
    async send(peer, topic, payload, signal) {
      checkOwn(topic, payload)
      if (services === undefined) throw gossipStopped()
      await services.message.send(peer, { topic, sequence: nextSequence(), timeMs: now(), payload }, signal)
      figures.sent += 1
    },
    listen(topic, signal) {
      checkOwn(topic)
      if (services === undefined) throw gossipStopped()
      if (listening >= MAX_LISTENERS) throw tooManyListeners(MAX_LISTENERS)
      const onAbort = (): void => listener.end()
      const listener = new Listener(topic, () => {
        signal.removeEventListener('abort', onAbort)
        listening -= 1
        leave()
      })
      const leave = join(topic, listener)
      listening += 1
      signal.addEventListener('abort', onAbort, { once: true })
      if (signal.aborted) onAbort()
      return listener
    },
    attach(topic, hear) {
      checkOwn(topic)
      if (services === undefined) throw gossipStopped()
      return join(topic, { hear, end: () => {} })
    },
    topics: () => [...listeners].map(([topic, { size }]) => ({ topic, listeners: size })),
    peers(topic) {
      checkOwn(topic)
      return services?.gossip.subscribers(partOf(topic)) ?? []
    },
    statistics: () => ({ ...figures }),
  }
}

/** Which part of the gossip a topic lies in; SPEC.md of protocols/message. */
export function partOf(topic: string): string {
  const [first = 0] = hash('sha256', topic, 'buffer')
  return partName(first % PARTS)
}

function partName(index: number): string {
  return `app-${index}`
}
