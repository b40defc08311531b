/**
 * Recommendations: what this node has seen of others, told to the network, and what others tell, handed to the scores.
 *
 * ```ts
 * const recommendations = createRecommendations({ state, trust, identity, networkName, config, gossip, log })
 * services: { trust: trustExchange({ networkName, book: recommendations.book, trust, log }) }
 * recommendations.start({ peers: libp2p, exchange: libp2p.services.trust, addressOf })
 * await recommendations.recommend(peer)
 * recommendations.stop()
 * ```
 *
 * Gossip brings what is new within seconds; the trust protocol brings the rest to whoever comes later. Nothing is passed on from one
 * recommender to the next: trust goes one hop.
 */
import { setImmediate as yieldToLoop } from 'node:timers/promises'
import type { PeerId, PrivateKey } from '@libp2p/interface'
import {
  decodeBundle,
  decodeRecommendation,
  encodeBundle,
  MAX_BUNDLE,
  verifyRecommendation,
} from '../../../protocols/trust/index.ts'
import type {
  Book,
  SignedBytes,
  SignedRecommendation,
  TrustExchange,
} from '../../../protocols/trust/types.ts'
import type { Gossip, GossipMessage } from '../../gossip/index.ts'
import { RateLimits } from '../../gossip/rate.ts'
import type { Logger } from '../../telemetry/types.ts'
import type { Evidence } from '../contract.ts'
import type { TrustState } from '../ledger.ts'
import { parsePeer } from '../subject.ts'
import { Asker, type ConnectedPeers } from './asker.ts'
import { nothingSeen, ownPraise } from './errors.ts'
import {
  MAX_MOVED,
  MAX_PEERS,
  MAX_SIGNED_AT_ONCE,
  MIN_EVIDENCE,
  REQUEST_RATE,
  TELL_AFTER_MS,
  WARN_AFTER_MS,
} from './limits.ts'
import { Opinions, type Saying } from './opinions.ts'
import { networkRange } from './range.ts'
import { openTold } from './told.ts'
import { RECOMMENDATIONS_TOPIC } from './topic.ts'
import type { HeardSigned, Recommendations, Seen, Told } from './types.ts'

export { recommendationsTopic } from './topic.ts'
export type { Recommendations } from './types.ts'

export interface RecommendationsOptions {
  state: TrustState
  trust: Evidence & {
    seen(peer: string): Seen
    hear(all: readonly HeardSigned[]): number
    isHeard(peer: string): boolean
    onSeen(listener: (peer: string, isBanned: boolean) => void): () => void
    onChange(listener: () => void): () => void
  }
  identity: { peerId: PeerId; privateKey: PrivateKey }
  networkName: string
  /** `trust.recommendations`. */
  config: { tell: boolean; hear: boolean }
  gossip: Pick<Gossip, 'publish' | 'subscribe'>
  log: Logger
  /** Milliseconds since the Unix epoch; tests pass their own. */
  now?: () => number
}

export interface RunningRecommendations extends Recommendations {
  /** For the trust protocol. */
  readonly book: Book
  start(services: {
    peers: ConnectedPeers
    exchange: Pick<TrustExchange, 'ask' | 'askAbout'>
    /** Text form of the address that a peer is connected from, where it is. */
    addressOf: (peer: PeerId) => string | undefined
  }): void
  stop(): void
}

export function createRecommendations(options: RecommendationsOptions): RunningRecommendations {
  const { state, trust, identity, networkName, config, gossip, now = Date.now } = options
  const log = options.log.child({ part: 'recommendations' })
  const self = identity.peerId.toString()
  const told = openTold(state)
  const opinions = new Opinions({ identity, networkName, seen: trust.seen, told, now })
  const rates = new RateLimits(MAX_PEERS, now)
  const figures = { told: 0, taken: 0, invalid: 0 }
  const moved = new Set<string>()
  let services: Parameters<RunningRecommendations['start']>[0] | undefined
  let timer: { dueMs: number; timeout: NodeJS.Timeout } | undefined
  let isTelling = false
  let ends: (() => void)[] = []

  function onSeen(peer: string, isBanned: boolean): void {
    if (peer === self) return
    // Who was banned is warned of, whoever else moved.
    if (moved.size < MAX_MOVED || isBanned) moved.add(peer)
    tellAfter(isBanned ? WARN_AFTER_MS : TELL_AFTER_MS)
  }

  function tellAfter(delayMs: number): void {
    const dueMs = performance.now() + delayMs
    if (services === undefined || (timer !== undefined && timer.dueMs <= dueMs)) return
    clearTimeout(timer?.timeout)
    timer = { dueMs, timeout: setTimeout(() => void tellMoved(), delayMs).unref() }
  }

  async function tellMoved(): Promise<void> {
    timer = undefined
    if (isTelling) return tellAfter(WARN_AFTER_MS)
    isTelling = true
    try {
      told.forgetOld(now())
      let sayings: Saying[] = []
      for (const peer of moved) {
        if (services === undefined) return
        moved.delete(peer)
        sayings.push(...opinions.moved(peer))
        if (sayings.length < MAX_SIGNED_AT_ONCE) continue
        await say(sayings)
        sayings = []
        await yieldToLoop()
      }
      await say(sayings)
    } catch (error) {
      log.warn({ err: error }, 'what was seen of peers could not be told')
    } finally {
      isTelling = false
    }
  }

  /** The number of neighbours that it went to. */
  async function say(sayings: readonly Saying[]): Promise<number> {
    const signed = (await opinions.sign(sayings)).map((each) => each.signed)
    figures.told += signed.length
    let recipients = 0
    for (let from = 0; from < signed.length; from += MAX_BUNDLE) {
      const bundle = encodeBundle(signed.slice(from, from + MAX_BUNDLE))
      recipients = Math.max(recipients, await gossip.publish(RECOMMENDATIONS_TOPIC, bundle))
    }
    return recipients
  }

  async function onBundle({ author, data }: GossipMessage): Promise<void> {
    // Nothing is checked of whoever does not count: that costs a signature each.
    if (author === self || !trust.isHeard(author)) return
    const all: SignedRecommendation[] = []
    try {
      for (const signed of decodeBundle(data)) {
        const said = decodeRecommendation(signed)
        if (said === undefined) continue
        await verifyRecommendation(networkName, said)
        all.push(said)
      }
    } catch (error) {
      figures.invalid += 1
      trust.report(author, 'message-invalid', { topic: RECOMMENDATIONS_TOPIC, reason: 'signature' })
      log.debug({ author, error: String(error) }, 'a bundle of recommendations was not signed')
      return
    }
    const [first] = all
    if (first !== undefined) hear(first.by, all)
  }

  /** What an author has said, verified. */
  function hear(author: PeerId, all: readonly SignedRecommendation[]): void {
    const name = author.toString()
    const range = networkRange(services?.addressOf(author))
    const heard = all
      .filter(({ subject }) => !subject.equals(identity.peerId))
      .map(({ subject, view, score, evidence, atMs, sequence, signed }) => ({
        heard: { author: name, subject: subject.toString(), view, score, evidence, atMs, sequence, range },
        signed,
      }))
    figures.taken += trust.hear(heard)
  }

  async function about(subjects: readonly PeerId[], asker: PeerId): Promise<SignedBytes[]> {
    const names = subjects
      .filter((subject) => !subject.equals(asker) && !subject.equals(identity.peerId))
      .map((subject) => subject.toString())
    if (config.tell) await opinions.sign(names.flatMap((name) => opinions.moved(name)))
    return names.flatMap((name) => opinions.said(name))
  }

  return {
    book: {
      admits: (peer) => rates.take(peer, REQUEST_RATE),
      page: (since, limit) => told.page(since, limit),
      about,
    },
    start(given) {
      services = given
      if (config.tell) ends.push(trust.onSeen(onSeen))
      if (!config.hear) return
      const asker = new Asker({
        ...given,
        isHeard: trust.isHeard,
        isNew: (peer) => trust.seen(peer).evidence < MIN_EVIDENCE,
        hear,
        log,
        now,
      })
      asker.start()
      ends.push(
        gossip.subscribe(RECOMMENDATIONS_TOPIC, onBundle),
        // Somebody may be trusted now, by the word of the operator.
        trust.onChange(() => asker.askAll()),
        () => asker.stop(),
      )
    },
    stop() {
      services = undefined
      clearTimeout(timer?.timeout)
      timer = undefined
      for (const end of ends) end()
      ends = []
      moved.clear()
    },
    async recommend(peer, { withdraw = false } = {}) {
      const name = parsePeer(peer)
      if (name === self) throw ownPraise(name)
      const sayings = withdraw ? opinions.withdrawn(name) : opinions.known(name)
      if (sayings.length === 0) throw nothingSeen(name)
      const recipients = await say(sayings)
      return { told: told.all().filter(({ subject }) => subject === name), recipients }
    },
    told: (): Told[] => told.all(),
    statistics: () => ({ ...figures }),
  }
}
