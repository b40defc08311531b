import { setImmediate as turn } from 'node:timers/promises'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { GossipSub, Message } from '@libp2p/gossipsub'
import { TopicValidatorResult } from '@libp2p/gossipsub'
import type { Ed25519PrivateKey, PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { decodeBundle } from '../../../protocols/message/index.ts'
import { createGossip, fullTopic, type Gossip, type TopicRules } from '../../../src/gossip/index.ts'
import { MAX_WAITING_FOR_PACE, OWN_PACE } from '../../../src/gossip/limits.ts'
import { createAppMessages } from '../../../src/gossip/messages/index.ts'
import { AUTHOR_RATE } from '../../../src/gossip/messages/limits.ts'
import { createRecommendations, recommendationsTopic } from '../../../src/trust/recommend/index.ts'
import { BUNDLE_RATE, TELL_AFTER_MS } from '../../../src/trust/recommend/limits.ts'
import { quietLogger } from '../../support/network.ts'
import { newPeer, openTrust, THRESHOLDS, type TrustFixture } from '../../support/trust.ts'

const NEWS: TopicRules = { name: 'news', maxBytes: 100, authorRate: { perSecond: 2, burst: 8 } }
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (data: Uint8Array): string => new TextDecoder().decode(data)

let privateKey: Ed25519PrivateKey
let self: PeerId
let gossip: Gossip
let published: { topic: string; data: Uint8Array; atMs: number }[]
/** What a neighbour that keeps to the rules makes of what is published, in the order it came. */
let verdicts: Promise<TopicValidatorResult>[]
let reports: string[]

/** A node, and a neighbour of it that hears all it says at once. */
function join(topics: readonly TopicRules[], neighbourTopics = topics): void {
  const trust = {
    decide: () => ({ allowed: true }) as const,
    report: (peer: string, kind: string) => reports.push(`${peer} ${kind}`),
    score: () => 0.5,
  }
  const common = { networkName: 'main', trust, log: quietLogger(), now: Date.now }
  const neighbour = createGossip({ ...common, topics: neighbourTopics })
  const validators: GossipSub['topicValidators'] = new Map()
  const nothing = { subscribe() {}, unsubscribe() {}, addEventListener() {}, removeEventListener() {} }
  neighbour.start({ ...nothing, topicValidators: validators } as unknown as GossipSub)
  gossip = createGossip({ ...common, topics, self: self.toString() })
  gossip.start({
    ...nothing,
    topicValidators: new Map(),
    getSubscribers: () => [],
    async publish(topic: string, data: Uint8Array) {
      published.push({ topic, data, atMs: Date.now() })
      const message = { type: 'signed', from: self, topic, data } as Message
      verdicts.push(Promise.resolve(validators.get(topic)!(self, message)))
      return { recipients: [self] }
    },
  } as unknown as GossipSub)
}

beforeEach(async () => {
  privateKey = await generateKeyPair('Ed25519')
  self = peerIdFromPrivateKey(privateKey)
  published = []
  verdicts = []
  reports = []
})
afterEach(() => {
  gossip.stop()
  vi.useRealTimers()
})

async function expectAllTaken(): Promise<void> {
  expect(new Set(await Promise.all(verdicts))).toEqual(new Set([TopicValidatorResult.Accept]))
  expect(reports.filter((line) => line.includes('limit-exceeded'))).toEqual([])
}

describe('what a node says', () => {
  it('goes in the same turn while it is little, and then waits its turn, in order', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    join([NEWS])
    const all = Array.from({ length: 20 }, (_, index) => `${index}`)
    const sent = Promise.all(all.map((said) => gossip.publish('news', bytes(said))))
    await turn()
    await turn()
    expect(published.map(({ data }) => decodeBundle(data).payloads.map(text))).toEqual([all.slice(0, 6)])
    for (let second = 0; second < 10; second += 1) {
      await vi.advanceTimersByTimeAsync(1_000)
      await turn()
    }
    await sent
    expect(published.flatMap(({ data }) => decodeBundle(data).payloads.map(text))).toEqual(all)
    await expectAllTaken()
    // After a silence as much goes at once as before.
    await vi.advanceTimersByTimeAsync(60_000)
    await Promise.all(all.slice(0, 6).map((said) => gossip.publish('news', bytes(said))))
    await expectAllTaken()
  })

  it('is refused where too much waits, and waits no more once it stops', async () => {
    join([NEWS])
    const own = Math.floor(OWN_PACE * NEWS.authorRate.burst)
    const sent = Promise.allSettled(
      Array.from({ length: own + MAX_WAITING_FOR_PACE + 3 }, () => gossip.publish('news', bytes('x'))),
    )
    await turn()
    gossip.stop()
    const codes = (await sent).map((end) =>
      end.status === 'fulfilled' ? 'sent' : (end.reason as { code: string }).code,
    )
    const count = (code: string): number => codes.filter((each) => each === code).length
    expect([count('sent'), count('ERR_GOSSIP_STOPPED'), count('ERR_GOSSIP_BUSY')]).toEqual([
      own,
      MAX_WAITING_FOR_PACE,
      3,
    ])
  })

  it('for applications is refused where it is too much, and not sent', async () => {
    const { state, close } = await openTrust()
    vi.useFakeTimers({ toFake: ['Date'] })
    const options = { state, log: quietLogger(), now: Date.now }
    const messages = createAppMessages({ ...options, self: self.toString() })
    join(messages.rules, createAppMessages({ ...options, self: 'a neighbour' }).rules)
    messages.start({ gossip, message: { send: async () => {} } })
    let refused = 0
    for (let index = 0; index < 2_000; index += 1) {
      await messages.publish('weather', bytes('x')).catch((error: { code: string }) => {
        expect(error.code).toBe('ERR_GOSSIP_BUSY')
        refused += 1
      })
    }
    const most = OWN_PACE * AUTHOR_RATE.burst
    expect(published).toHaveLength(most)
    expect(refused).toBe(2_000 - most)
    expect(messages.statistics().published).toBe(most)
    await expectAllTaken()
    messages.stop()
    await close()
  })
})

describe('what a node has seen of many peers at once', () => {
  let fixture: TrustFixture
  beforeEach(async () => {
    fixture = await openTrust({ thresholds: THRESHOLDS })
  })
  afterEach(() => fixture.close())

  it('is told at the pace that others allow', async () => {
    const peers = await Promise.all(Array.from({ length: 300 }, async () => (await newPeer()).peer))
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
    })
    fixture.clock.nowMs = Date.now()
    join([recommendationsTopic()])
    const recommendations = createRecommendations({
      state: fixture.state,
      trust: fixture.trust,
      identity: { peerId: self, privateKey },
      networkName: 'main',
      config: { tell: true, hear: false },
      gossip,
      log: quietLogger(),
    })
    recommendations.start({
      peers: { getPeers: () => [], addEventListener() {}, removeEventListener() {} },
      exchange: {
        ask: async () => ({ recommendations: [], next: 0n, more: false }),
        askAbout: async () => [],
      },
      addressOf: () => undefined,
    })
    const startedMs = Date.now()
    for (const peer of peers)
      for (let time = 0; time < 6; time += 1) fixture.trust.report(peer, 'block-invalid')
    const bundles = Math.ceil((2 * peers.length) / 16)
    for (let step = 0; step < 4_000 && recommendations.statistics().told < peers.length; step += 1) {
      await vi.advanceTimersByTimeAsync(100)
      await turn()
    }
    for (let step = 0; step < TELL_AFTER_MS / 100; step += 1) {
      await vi.advanceTimersByTimeAsync(100)
      await turn()
    }
    expect(recommendations.told().length).toBeGreaterThanOrEqual(peers.length)
    expect(published.length).toBeGreaterThan(2 * BUNDLE_RATE.burst)
    expect(published.length).toBeLessThanOrEqual(bundles + 8)
    expect(published.every(({ topic }) => topic === fullTopic('main', 'recommendations'))).toBe(true)
    // In no span of time more than a burst and what the rate adds.
    for (const [first, { atMs }] of published.entries())
      for (const [last, later] of published.entries())
        if (last >= first)
          expect(last - first + 1).toBeLessThanOrEqual(
            BUNDLE_RATE.burst + ((later.atMs - atMs) / 1_000) * BUNDLE_RATE.perSecond,
          )
    expect(Date.now() - startedMs).toBeGreaterThan(10_000)
    await expectAllTaken()
    recommendations.stop()
  })
})
