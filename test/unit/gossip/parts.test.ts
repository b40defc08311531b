import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Message } from '@libp2p/gossipsub'
import { TopicValidatorResult } from '@libp2p/gossipsub'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createGossip, fullTopic } from '../../../src/gossip/index.ts'
import { RateLimits } from '../../../src/gossip/rate.ts'
import { Subscriber, WAITING_MAX_BYTES } from '../../../src/gossip/subscriber.ts'
import type { TopicRules } from '../../../src/gossip/topics.ts'
import type { Validator } from '../../../src/gossip/validator.ts'
import { createValidator } from '../../../src/gossip/validator.ts'
import { quietLogger } from '../../support/network.ts'

const { Accept, Ignore, Reject } = TopicValidatorResult

describe('rates', () => {
  it('let through the burst and then the rate, and no more', () => {
    let nowMs = 0
    const rates = new RateLimits(10, () => nowMs)
    const rate = { perSecond: 2, burst: 3 }
    expect([1, 2, 3, 4].map(() => rates.take('a', rate))).toEqual([true, true, true, false])
    expect(rates.take('b', rate)).toBe(true)
    nowMs = 500
    expect([1, 2].map(() => rates.take('a', rate))).toEqual([true, false])
    nowMs = 1_000_000
    expect([1, 2, 3, 4].map(() => rates.take('a', rate))).toEqual([true, true, true, false])
  })

  it('hold over any sequence of times, also when the clock goes back', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -500, max: 500 }), { maxLength: 200 }), (stepsMs) => {
        let nowMs = 1_000_000
        let forwardMs = 0
        let taken = 0
        const rates = new RateLimits(10, () => nowMs)
        for (const stepMs of stepsMs) {
          nowMs += stepMs
          forwardMs += Math.max(0, stepMs)
          taken += rates.take('a', { perSecond: 5, burst: 4 }) ? 1 : 0
        }
        expect(taken).toBeLessThanOrEqual(4 + (forwardMs * 5) / 1_000)
      }),
    )
  })

  it('remember a bounded number of keys, the latest', () => {
    const rates = new RateLimits(3, () => 0)
    for (const key of ['a', 'b', 'c', 'a', 'd', 'e']) {
      rates.take(key, { perSecond: 1, burst: 1 })
    }
    expect(rates.size).toBe(3)
    expect(rates.take('a', { perSecond: 1, burst: 1 })).toBe(false)
    expect(rates.take('b', { perSecond: 1, burst: 1 })).toBe(true)
  })
})

const TOPIC: TopicRules = { name: 'news', maxBytes: 10, authorRate: { perSecond: 1_000, burst: 100_000 } }

async function newPeer(): Promise<PeerId> {
  return peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
}

function signed(from: PeerId, data: Uint8Array, topic = fullTopic('main', 'news')): Message {
  return { type: 'signed', from, topic, data } as Message
}

function validatorWith(
  rules: Partial<TopicRules> = {},
  denied: PeerId[] = [],
): { validator: Validator; reports: string[]; clock: { nowMs: number } } {
  const reports: string[] = []
  const clock = { nowMs: 0 }
  const validator = createValidator({
    topics: new Map([[fullTopic('main', 'news'), { ...TOPIC, ...rules }]]),
    trust: {
      decide: (peer) =>
        denied.some((each) => each.toString() === peer)
          ? { allowed: false, reason: 'deny-list' }
          : { allowed: true },
      report: (peer, kind, detail) =>
        reports.push(`${peer} ${kind} ${detail?.reason ?? detail?.limit ?? ''}`.trim()),
    },
    log: quietLogger(),
    now: () => clock.nowMs,
  })
  return { validator, reports, clock }
}

describe('the validator', () => {
  it('rejects unknown topics, unsigned and oversized messages, and says who brought them', async () => {
    const [neighbour, author] = [await newPeer(), await newPeer()]
    const { validator, reports } = validatorWith()
    expect(await validator.validate(neighbour, signed(author, new Uint8Array(10)))).toBe(Accept)
    expect(await validator.validate(neighbour, signed(author, new Uint8Array(11)))).toBe(Reject)
    expect(await validator.validate(neighbour, signed(author, new Uint8Array(1), '/else'))).toBe(Reject)
    expect(
      await validator.validate(neighbour, {
        type: 'unsigned',
        topic: fullTopic('main', 'news'),
        data: new Uint8Array(1),
      }),
    ).toBe(Reject)
    const name = neighbour.toString()
    expect(reports).toEqual([
      `${name} message-valid`,
      `${name} message-invalid size`,
      `${name} message-invalid topic`,
      `${name} message-invalid unsigned`,
    ])
    expect(validator.counts()).toEqual({ accepted: 1, ignored: 0, rejected: 3 })
  })

  it('ignores denied neighbours and denied authors, without evidence against the neighbour', async () => {
    const [neighbour, author] = [await newPeer(), await newPeer()]
    const { validator, reports } = validatorWith({}, [author])
    expect(await validator.validate(neighbour, signed(author, new Uint8Array(1)))).toBe(Ignore)
    expect(await validator.validate(author, signed(neighbour, new Uint8Array(1)))).toBe(Ignore)
    expect(reports).toEqual([])
  })

  it('never throws, whatever the topic’s check does', async () => {
    const peer = await newPeer()
    for (const [check, expected] of [
      [() => 'accept', Accept],
      [() => Promise.resolve('reject'), Reject],
      [() => Promise.reject(new Error('no')), Ignore],
      [
        () => {
          throw new Error('no')
        },
        Ignore,
      ],
    ] as [NonNullable<TopicRules['check']>, TopicValidatorResult][]) {
      const { validator } = validatorWith({ check })
      expect(await validator.validate(peer, signed(peer, new Uint8Array(1)))).toBe(expected)
    }
  })

  it('shuns a neighbour that floods, for a minute', async () => {
    const neighbour = await newPeer()
    const { validator, reports, clock } = validatorWith()
    const name = neighbour.toString()
    for (let index = 0; index < 4_000; index++) {
      await validator.validate(neighbour, signed(neighbour, new Uint8Array(1)))
    }
    expect(validator.isFlooding(name)).toBe(false)
    expect(await validator.validate(neighbour, signed(neighbour, new Uint8Array(1)))).toBe(Ignore)
    expect(await validator.validate(neighbour, signed(neighbour, new Uint8Array(1)))).toBe(Ignore)
    expect(validator.isFlooding(name)).toBe(true)
    expect(reports.filter((line) => line.includes('gossip-neighbour-rate'))).toHaveLength(1)
    clock.nowMs += 60_000
    expect(validator.isFlooding(name)).toBe(false)
    expect(await validator.validate(neighbour, signed(neighbour, new Uint8Array(1)))).toBe(Accept)
  })
})

describe('a subscriber', () => {
  const message = (bytes: number): { author: string; topic: string; data: Uint8Array } => ({
    author: 'a',
    topic: 'news',
    data: new Uint8Array(bytes),
  })

  it('handles one message at a time, goes on after a failure, and drops what is over its bytes', async () => {
    let running = 0
    let most = 0
    let handled = 0
    let dropped = 0
    const log = quietLogger()
    const subscriber = new Subscriber(
      async () => {
        most = Math.max(most, ++running)
        await Promise.resolve()
        running--
        if (++handled === 1) {
          throw new Error('the first fails')
        }
      },
      log,
      () => dropped++,
    )
    for (let index = 0; index < 10; index++) {
      subscriber.deliver(message(WAITING_MAX_BYTES / 4))
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 10)
    })
    expect(most).toBe(1)
    expect(handled).toBe(5)
    expect(dropped).toBe(5)
    expect(log.warnings).toHaveLength(1)
  })

  it('tells the handler that runs when it is stopped, and handles nothing more', async () => {
    let handled = 0
    let wasTold = false
    const subscriber = new Subscriber(
      async (_message, signal) => {
        handled++
        await new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => resolve())
        })
        wasTold = signal.aborted
      },
      quietLogger(),
      () => {},
    )
    subscriber.deliver(message(1))
    subscriber.deliver(message(1))
    subscriber.stop()
    subscriber.deliver(message(1))
    await new Promise((resolve) => {
      setTimeout(resolve, 10)
    })
    expect(handled).toBe(1)
    expect(wasTold).toBe(true)
  })
})

it('refuses a topic whose messages would be longer than gossip carries', () => {
  expect(() =>
    createGossip({
      networkName: 'main',
      topics: [{ ...TOPIC, maxBytes: 64 * 1024 + 1 }],
      trust: { decide: () => ({ allowed: true }), report() {}, score: () => 0.5 },
      log: quietLogger(),
    }),
  ).toThrow(RangeError)
})
