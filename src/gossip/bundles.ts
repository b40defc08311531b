import {
  type Bundle,
  BUNDLE_OVERHEAD_BYTES,
  decodeBundle,
  encodeBundle,
  MAX_BUNDLE_PAYLOADS,
} from '../../protocols/message/index.ts'
import type { Logger } from '../telemetry/types.ts'
import { MAX_WAITING_TO_SEND_BYTES } from './limits.ts'
import { publishBusy } from './errors.ts'
import { openSenders, type SendersOptions } from './senders.ts'
import { createSequence } from './sequence.ts'
import { type GossipMessage, TOPIC_MAX_BYTES, type TopicRules, type Verdict } from './topics.ts'

export interface BundlesOptions {
  state: SendersOptions['state']
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
  readonly #nextSequence: () => bigint
  /** What was opened to see what it costs, of messages that are looked at next. */
  readonly #opened = new WeakMap<Uint8Array, Bundle>()
  /** Payloads that passed, of messages that are on their way from the check to the subscribers. */
  readonly #accepted = new WeakMap<Uint8Array, Uint8Array[]>()
  readonly #outgoing = new Map<string, Outgoing>()
  readonly #counts = { repeated: 0, stale: 0, bundled: 0 }
  #waitingBytes = 0

  constructor(options: BundlesOptions) {
    this.#options = options
    this.#senders = openSenders(options)
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
      cost: (message) => this.#cost(rules, message),
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

  #cost(rules: TopicRules, { author, topic, data }: GossipMessage): number | 'ignore' | 'reject' {
    const bundle = opened(rules, data)
    if (bundle === undefined) return 'reject'
    const { sequence, timeMs, payloads } = bundle
    const freshness = this.#senders.look(nameOf(topic, author), sequence, timeMs)
    if (freshness !== 'fresh') {
      this.#counts[freshness] += 1
      return 'ignore'
    }
    this.#opened.set(data, bundle)
    return payloads.length
  }

  async #check(rules: TopicRules, { author, topic, data }: GossipMessage): Promise<Verdict> {
    const bundle = this.#opened.get(data) ?? opened(rules, data)
    if (bundle === undefined) return 'reject'
    const { sequence, timeMs, payloads } = bundle
    const freshness = this.#senders.take(nameOf(topic, author), sequence, timeMs)
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

function nameOf(topic: string, author: string): string {
  return `${topic} ${author}`
}

/** Undefined where it is none that the topic allows. */
function opened(rules: TopicRules, data: Uint8Array): Bundle | undefined {
  let bundle: Bundle
  try {
    bundle = decodeBundle(data)
  } catch {
    return undefined
  }
  const { payloads } = bundle
  if (payloads.some(({ byteLength }) => byteLength > rules.maxBytes)) return undefined
  // Padding would be passed on by everybody.
  const saidBytes = payloads.reduce((sum, { byteLength }) => sum + byteLength + PAYLOAD_OVERHEAD_BYTES, 0)
  return data.byteLength > saidBytes + BUNDLE_OVERHEAD_BYTES ? undefined : bundle
}
