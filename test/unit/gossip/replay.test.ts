import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { GossipSub, Message } from '@libp2p/gossipsub'
import { TopicValidatorResult } from '@libp2p/gossipsub'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { encodeBundle, encodeEnvelope } from '../../../protocols/message/index.ts'
import { Bundles } from '../../../src/gossip/bundles.ts'
import { createGossip, fullTopic, type Gossip } from '../../../src/gossip/index.ts'
import { createAppMessages, partOf, type RunningAppMessages } from '../../../src/gossip/messages/index.ts'
import type { TopicRules } from '../../../src/gossip/topics.ts'
import { createValidator, type Validator } from '../../../src/gossip/validator.ts'
import { openState } from '../../../src/storage/state/index.ts'
import type { StateDatabase } from '../../../src/storage/state/types.ts'
import { quietLogger } from '../../support/network.ts'

const { Accept, Ignore } = TopicValidatorResult
const TOPIC = fullTopic('main', 'news')
const NEWS: TopicRules = { name: 'news', maxBytes: 100, authorRate: { perSecond: 1, burst: 5 } }
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const signed = (from: PeerId, data: Uint8Array, topic = TOPIC): Message =>
  ({ type: 'signed', from, topic, data }) as Message

async function newPeer(): Promise<PeerId> {
  return peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
}

let home: string
let state: StateDatabase
let clock: { nowMs: number }
let reports: string[]
const trust = {
  decide: () => ({ allowed: true }) as const,
  report: (peer: string, kind: string) => reports.push(`${peer} ${kind}`),
  score: () => 0.5,
}

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'p2pnode-replay-'))
  state = await openState({ path: join(home, 'state.db'), log: quietLogger() })
  clock = { nowMs: 1_700_000_000_000 }
  reports = []
})
afterEach(async () => {
  await state.close()
  await rm(home, { recursive: true, force: true })
})

describe('what an author once said', () => {
  let victim: PeerId
  let neighbour: PeerId
  let bundles: Bundles
  let validator: Validator
  beforeEach(async () => {
    ;[victim, neighbour] = [await newPeer(), await newPeer()]
    bundles = new Bundles({ state, log: quietLogger(), now: () => clock.nowMs })
    bundles.start()
    validator = createValidator({
      topics: new Map([[TOPIC, bundles.around(NEWS)]]),
      trust,
      log: quietLogger(),
      now: () => clock.nowMs,
    })
  })
  afterEach(() => bundles.stop())

  let sequence = 0n
  const bundle = (payloads = ['said']): Uint8Array => {
    sequence += 1n
    return encodeBundle({ sequence, timeMs: clock.nowMs, payloads: payloads.map(bytes) })
  }
  const ofVictim = (): string[] => reports.filter((line) => line.startsWith(victim.toString()))

  it('costs it nothing when another says it again', async () => {
    const recorded: Uint8Array[] = []
    for (let index = 0; index < 20; index += 1) {
      clock.nowMs += 2_000
      recorded.push(bundle())
      expect(await validator.validate(victim, signed(victim, recorded.at(-1)!))).toBe(Accept)
    }
    reports = []
    // At once, as what was heard before; and once all of it is too old.
    for (const laterMs of [0, 10 * 60_000]) {
      clock.nowMs += laterMs
      for (const data of recorded)
        expect(await validator.validate(neighbour, signed(victim, data.slice()))).toBe(Ignore)
      expect(reports).toEqual([])
    }
    clock.nowMs += 1_000
    expect(await validator.validate(neighbour, signed(victim, bundle()))).toBe(Accept)
  })

  it('goes over its rate by its own doing alone', async () => {
    // Kept by the neighbour, and brought all at once.
    const kept = Array.from({ length: 8 }, () => bundle())
    for (const data of kept) await validator.validate(neighbour, signed(victim, data))
    expect(ofVictim()).toEqual([])
    clock.nowMs += 60_000
    for (const data of Array.from({ length: 6 }, () => bundle()))
      await validator.validate(victim, signed(victim, data))
    expect(ofVictim().filter((line) => line.includes('limit-exceeded'))).toHaveLength(1)
  })

  it('counts towards its rate, however it is bundled', async () => {
    expect(await validator.validate(victim, signed(victim, bundle(['1', '2', '3'])))).toBe(Accept)
    const refused = bundle(['4', '5', '6'])
    expect(await validator.validate(victim, signed(victim, refused))).toBe(Ignore)
    expect(ofVictim()).toContain(`${victim} limit-exceeded`)
    // Nothing was taken note of, so that it is heard once there is room for it.
    clock.nowMs += 5_000
    expect(await validator.validate(neighbour, signed(victim, refused))).toBe(Accept)
  })
})

describe('what this node has said', () => {
  const part = partOf('weather')
  let self: PeerId
  let neighbour: PeerId
  let published: { topic: string; data: Uint8Array }[]
  let validators: GossipSub['topicValidators']
  let gossip: Gossip
  let messages: RunningAppMessages
  let deliver: (message: Message) => void

  /** A node over a transport that keeps what is published. */
  function open(): void {
    messages = createAppMessages({
      state,
      log: quietLogger(),
      self: self.toString(),
      now: () => clock.nowMs,
    })
    gossip = createGossip({
      networkName: 'main',
      topics: [NEWS, ...messages.rules],
      trust,
      self: self.toString(),
      state,
      log: quietLogger(),
      now: () => clock.nowMs,
    })
    validators = new Map()
    const transport = {
      topicValidators: validators,
      subscribe() {},
      unsubscribe() {},
      addEventListener(_: string, listener: (event: { detail: Message }) => void) {
        deliver = (detail) => listener({ detail })
      },
      removeEventListener() {},
      getSubscribers: () => [],
      async publish(topic: string, data: Uint8Array) {
        published.push({ topic, data })
        return { recipients: [] }
      },
    }
    gossip.start(transport as unknown as GossipSub)
    messages.start({ gossip, message: { send: async () => {} } })
  }

  beforeEach(async () => {
    ;[self, neighbour] = [await newPeer(), await newPeer()]
    published = []
    open()
  })
  afterEach(() => {
    messages.stop()
    gossip.stop()
  })

  /** As gossipsub does: checks, then tells. */
  async function bring(topic: string, data: Uint8Array, author = self): Promise<TopicValidatorResult> {
    const message = signed(author, data, topic)
    const verdict = await validators.get(topic)!(neighbour, message)
    if (verdict === Accept) deliver(message)
    return verdict
  }

  it('is not heard when a neighbour brings it back, later or after a restart', async () => {
    await gossip.publish('news', bytes('mine'))
    await messages.publish('weather', bytes('sunny'))
    expect(published.map(({ topic }) => topic).toSorted()).toEqual(
      [TOPIC, fullTopic('main', part)].toSorted(),
    )
    for (const restarts of [false, true]) {
      if (restarts) {
        messages.stop()
        gossip.stop()
        open()
      }
      const heard: unknown[] = []
      gossip.subscribe('news', (message) => void heard.push(message))
      const detach = messages.attach('weather', (message) => heard.push(message) > 0)
      clock.nowMs += 130_000
      for (const { topic, data } of published) expect(await bring(topic, data)).toBe(Ignore)
      expect(heard).toEqual([])
      // Another's are heard.
      const data = encodeEnvelope({
        topic: 'weather',
        sequence: 1n,
        timeMs: clock.nowMs,
        payload: bytes('x'),
      })
      expect(await bring(fullTopic('main', part), data, await newPeer())).toBe(Accept)
      await Promise.resolve()
      expect(heard).toHaveLength(1)
      detach()
    }
    expect(reports.filter((line) => !line.includes('message-valid'))).toEqual([])
  })
})
