import {
  BUNDLE_OVERHEAD_BYTES,
  decodeBundle,
  encodeBundle,
  MAX_BUNDLE_PAYLOADS,
} from '../../protocols/message/index.ts'
import type { Logger } from '../telemetry/types.ts'
import type { Evidence } from '../trust/contract.ts'
import { MAX_RATED_AUTHORS, MAX_WAITING_TO_SEND_BYTES } from './limits.ts'
import { publishBusy } from './errors.ts'
import { RateLimits } from './rate.ts'
import { openSenders, type SendersOptions } from './senders.ts'
import { createSequence } from './sequence.ts'
import { type GossipMessage, TOPIC_MAX_BYTES, type TopicRules, type Verdict } from './topics.ts'

export interface BundlesOptions {
  state: SendersOptions['state']
  trust: Evidence
  log: Logger
  now: () => number
}

/** Tag and length of one payload. */
const PAYLOAD_OVERHEAD_BYTES = 4

/** What waits to be said under one topic until the end of this turn of the event loop. */
interface Outgoing {
  payloads: Uint8Array[]
  bytes: number
  sent: Promise<number>
}

/**
 * The envelope of what services say: sequence and time, so that nothing is taken twice or late, over restarts too, and
 * several payloads under one signature where they come at once. A topic's own rules see one payload at a time.
 */
export class Bundles {
  readonly #options: BundlesOptions
  readonly #senders
  readonly #rates: RateLimits
  readonly #nextSequence: () => bigint
  /** Payloads that passed, of messages that are on their way from the check to the subscribers. */
  readonly #accepted = new WeakMap<Uint8Array, Uint8Array[]>()
  readonly #outgoing = new Map<string, Outgoing>()
  readonly #counts = { repeated: 0, stale: 0, bundled: 0 }
  #waitingBytes = 0

  constructor(options: BundlesOptions) {
    this.#options = options
    this.#senders = openSenders(options)
    this.#rates = new RateLimits(MAX_RATED_AUTHORS, options.now)
    this.#nextSequence = createSequence(options.now)
  }

  start(): void {
    this.#senders.start()
  }

  stop(): void {
    this.#senders.stop()
  }

  /** The rules of what travels under a topic, made of those for what is said under it. */
  around(rules: TopicRules): TopicRules {
    return {
      name: rules.name,
      maxBytes: Math.min(
        TOPIC_MAX_BYTES,
        MAX_BUNDLE_PAYLOADS * (rules.maxBytes + PAYLOAD_OVERHEAD_BYTES) + BUNDLE_OVERHEAD_BYTES,
      ),
      authorRate: rules.authorRate,
      check: (message) => this.#check(rules, message),
    }
  }

  /** What subscribers get of a message that passed. */
  payloads(data: Uint8Array): readonly Uint8Array[] {
    return this.#accepted.get(data) ?? []
  }

  /** Together with all that is said under the topic in this turn. @throws ERR_GOSSIP_BUSY, what `send` throws */
  publish(topic: string, payload: Uint8Array, send: (data: Uint8Array) => Promise<number>): Promise<number> {
    const bytes = payload.byteLength + BUNDLE_OVERHEAD_BYTES
    if (this.#waitingBytes + bytes > MAX_WAITING_TO_SEND_BYTES) return Promise.reject(publishBusy(topic))
    this.#waitingBytes += bytes
    const waiting = this.#outgoing.get(topic)
    const hasRoom =
      waiting !== undefined &&
      waiting.payloads.length < MAX_BUNDLE_PAYLOADS &&
      waiting.bytes + bytes <= TOPIC_MAX_BYTES
    const outgoing = hasRoom ? waiting : this.#begin(topic, send)
    outgoing.payloads.push(payload)
    outgoing.bytes += bytes
    return outgoing.sent
  }

  counts(): { repeated: number; stale: number; bundled: number } {
    return { ...this.#counts }
  }

  #begin(topic: string, send: (data: Uint8Array) => Promise<number>): Outgoing {
    const turn = Promise.withResolvers<void>()
    setImmediate(turn.resolve)
    const payloads: Uint8Array[] = []
    const sent = turn.promise.then(() => {
      if (this.#outgoing.get(topic) === outgoing) this.#outgoing.delete(topic)
      this.#waitingBytes -= outgoing.bytes
      this.#counts.bundled += payloads.length
      const bundle = { sequence: this.#nextSequence(), timeMs: this.#options.now(), payloads }
      return send(encodeBundle(bundle))
    })
    const outgoing: Outgoing = { payloads, bytes: 0, sent }
    this.#outgoing.set(topic, outgoing)
    return outgoing
  }

  async #check(rules: TopicRules, { author, topic, data }: GossipMessage): Promise<Verdict> {
    let bundle: ReturnType<typeof decodeBundle>
    try {
      bundle = decodeBundle(data)
    } catch {
      return 'reject'
    }
    const { sequence, timeMs, payloads } = bundle
    if (payloads.some(({ byteLength }) => byteLength > rules.maxBytes)) return 'reject'
    // Padding would be passed on by everybody.
    const saidBytes = payloads.reduce((sum, { byteLength }) => sum + byteLength + PAYLOAD_OVERHEAD_BYTES, 0)
    if (data.byteLength > saidBytes + BUNDLE_OVERHEAD_BYTES) return 'reject'
    const name = `${topic} ${author}`
    // One of them has been counted as a message.
    if (payloads.length > 1 && !this.#rates.take(name, rules.authorRate, payloads.length)) {
      this.#options.trust.report(author, 'limit-exceeded', { limit: 'gossip-author-rate', topic })
      return 'ignore'
    }
    const freshness = this.#senders.take(name, sequence, timeMs)
    if (freshness !== 'fresh') {
      this.#counts[freshness] += 1
      return 'ignore'
    }
    const accepted: Uint8Array[] = []
    for (const payload of payloads) {
      const verdict = (await rules.check?.({ author, topic, data: payload })) ?? 'accept'
      if (verdict === 'reject') return 'reject'
      if (verdict === 'accept') accepted.push(payload)
    }
    if (accepted.length === 0) return 'ignore'
    this.#accepted.set(data, accepted)
    return 'accept'
  }
}
