import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PeerId } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { pEvent } from 'p-event'
import { afterEach, describe, expect, it } from 'vitest'
import { encodeBundle, signRecommendation } from '../../../protocols/trust/index.ts'
import type { Book, Recommendation, SignedBytes } from '../../../protocols/trust/types.ts'
import { RECOMMENDATIONS_TOPIC } from '../../../src/trust/recommend/topic.ts'
import { eventually } from '../../support/network.ts'
import {
  openStream,
  type Recommender,
  type RecommenderOptions,
  startRecommender,
} from '../../support/recommendations.ts'
import { newPeer } from '../../support/trust.ts'

const soon = (): AbortSignal => AbortSignal.timeout(10_000)
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  await Promise.all(cleanups.splice(0).map((cleanup) => cleanup()))
})

async function start(options?: RecommenderOptions): Promise<Recommender> {
  const node = await startRecommender(options)
  cleanups.push(() => node.stop())
  return node
}

/** Two connected nodes; the second trusts the first. */
async function pair(options?: RecommenderOptions): Promise<[Recommender, Recommender]> {
  const [recommender, hearer] = [await start(options), await start()]
  await hearer.network.connect(recommender.address, soon())
  hearer.trust.setScore(recommender.peer, 0.9)
  return [recommender, hearer]
}

async function statement(by: Recommender, changes: Partial<Recommendation> = {}): Promise<SignedBytes> {
  return signRecommendation(by.privateKey, 'test', {
    by: peerIdFromString(by.peer),
    subject: await newPeerId(),
    view: 'honesty',
    score: 0,
    evidence: 10,
    atMs: Date.now(),
    sequence: 1n,
    ...changes,
  })
}

async function newPeerId(): Promise<PeerId> {
  return peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
}

/** Waits until what a node says reaches so many neighbours: each has to have opened its stream as well. */
async function met(node: Recommender, neighbours = 1): Promise<void> {
  await eventually('neighbours are reached', async () => {
    const hello = encodeBundle([await statement(node, { score: 0.5 })])
    return (await node.gossip.publish(RECOMMENDATIONS_TOPIC, hello)) >= neighbours
  })
}

function hasHeard(node: Recommender, subject: string): boolean {
  return node.trust.explain(subject).recommendations.length > 0
}

function rulesBroken(node: Recommender, by: Recommender): unknown[] {
  return node.trust
    .evidence({ peer: by.peer })
    .evidence.map(({ detail }) => detail['rule'] ?? detail['reason'])
    .filter((rule) => rule !== undefined)
}

describe('what is seen of a peer', () => {
  it('is heard by those who trust the one who saw it, damped, and by nobody else', async () => {
    const { peer: liar } = await newPeer()
    const [witness, hearer] = await pair()
    const stranger = await start()
    await stranger.network.connect(witness.address, soon())
    await met(witness, 2)

    for (let time = 0; time < 6; time += 1) witness.trust.report(liar, 'block-invalid')
    await eventually('the warning is heard', () => hasHeard(hearer, liar))
    const report = hearer.trust.explain(liar)
    expect(witness.trust.explain(liar).honesty).toBe(0)
    // Standing 0.8, six pieces of evidence: 0.1 × 0.8 × 6 ÷ 8.
    expect(report.heard.honesty).toBeCloseTo(-0.06, 3)
    expect(report.honesty).toBeCloseTo(0.44, 3)
    expect(hearer.trust.score(liar)).toBeCloseTo(0.44, 3)
    expect(hearer.trust.score(liar, 'storage')).toBe(0.5)
    expect(report.bannedUntilMs).toBeNull()
    expect(report.recommendations).toEqual([
      expect.objectContaining({
        by: witness.peer,
        view: 'honesty',
        score: 0,
        evidence: 6,
        recommender: 0.9,
        range: '127.0.0.0/24',
      }),
    ])
    expect(hasHeard(stranger, liar)).toBe(false)
    // The operator takes back the trust: what was said stays known, and counts no more.
    hearer.trust.setScore(witness.peer, null)
    expect(hearer.trust.explain(liar)).toMatchObject({ honesty: 0.5, heard: { honesty: 0 } })
    expect(hearer.trust.explain(liar).recommendations[0]).toMatchObject({ recommender: 0, worth: 0 })
  })

  it('comes to whoever connects later or trusts later, and is taken back', async () => {
    const { peer: friend } = await newPeer()
    const witness = await start()
    witness.trust.setScore(friend, 1)
    const { told, recipients } = await witness.recommendations.recommend(friend)
    expect(recipients).toBe(0)
    expect(told.map(({ view, score, isByHand }) => [view, score, isByHand])).toEqual([
      ['honesty', 1, true],
      ['reliability', 1, true],
    ])
    const hearer = await start()
    await hearer.network.connect(witness.address, soon())
    await met(witness)
    expect(hasHeard(hearer, friend)).toBe(false)
    hearer.trust.setScore(witness.peer, 0.9)
    await eventually('asked and heard', () => hasHeard(hearer, friend))
    expect(hearer.trust.score(friend)).toBeCloseTo(0.564, 3)
    expect(hearer.trust.explain(friend).storageScore).toBe(0.5)

    await witness.recommendations.recommend(friend, { withdraw: true })
    await eventually('taken back', () => hearer.trust.score(friend) === 0.5)
    // Nothing more is said of it by itself.
    for (let time = 0; time < 6; time += 1) witness.trust.report(friend, 'block-invalid')
    witness.trust.setScore(friend, null)
    await hearer.exchange.askAbout(peerIdFromString(witness.peer), [peerIdFromString(friend)], {
      signal: soon(),
    })
    expect(witness.recommendations.told().every(({ evidence }) => evidence === 0)).toBe(true)
  })

  it('is asked for where a newcomer comes, and never counts one about oneself', async () => {
    const [witness, hearer] = await pair()
    const newcomer = await start()
    for (let time = 0; time < 6; time += 1) witness.trust.report(newcomer.peer, 'audit-passed')
    for (let time = 0; time < 6; time += 1) witness.trust.report(newcomer.peer, 'protocol-violation')
    witness.trust.report(hearer.peer, 'audit-passed')
    await witness.recommendations.recommend(hearer.peer)
    await hearer.network.connect(newcomer.address, soon())
    await eventually('heard of it', () => hasHeard(hearer, newcomer.peer))
    expect(hasHeard(hearer, hearer.peer)).toBe(false)
  })

  it('goes one hop: what was heard is not said again, and earns nobody a voice', async () => {
    const [witness, hearer] = await pair()
    await met(witness)
    const { peer: praised } = await newPeer()
    witness.trust.setScore(praised, 1)
    await witness.recommendations.recommend(praised)
    await eventually('heard', () => hasHeard(hearer, praised))
    expect(hearer.trust.isHeard(praised)).toBe(false)
    const answer = await witness.exchange.ask(peerIdFromString(hearer.peer), 0n, { signal: soon() })
    expect(answer.recommendations).toEqual([])
    await expect(hearer.recommendations.recommend(praised)).rejects.toMatchObject({
      code: 'ERR_NOTHING_SEEN',
    })
    await expect(hearer.recommendations.recommend(hearer.peer)).rejects.toMatchObject({
      code: 'ERR_PEER_INVALID',
    })
    await expect(hearer.recommendations.recommend('nobody')).rejects.toMatchObject({
      code: 'ERR_PEER_INVALID',
    })
  })
})

describe('versions side by side', () => {
  it('a 1.0 peer and a 1.1 peer tell each other all they know', async () => {
    const [old, modern] = [await start({ versions: ['1.0.0'] }), await start()]
    await modern.network.connect(old.address, soon())
    const { peer: seen } = await newPeer()
    for (const [node, other] of [
      [old, modern],
      [modern, old],
    ] as const) {
      node.trust.setScore(seen, 0.8)
      await node.recommendations.recommend(seen)
      const answer = await other.exchange.ask(peerIdFromString(node.peer), 0n, { signal: soon() })
      expect(answer.recommendations.map(({ view, score }) => [view, score])).toEqual([
        ['honesty', 0.8],
        ['reliability', 0.8],
      ])
      expect(answer.more).toBe(false)
      // And nothing twice.
      const later = await other.exchange.ask(peerIdFromString(node.peer), answer.next, { signal: soon() })
      expect(later).toMatchObject({ recommendations: [], next: answer.next })
    }
    const subjects = [peerIdFromString(seen)]
    // The old one cannot be asked about single peers; the new one is not asked by it.
    expect(
      await modern.exchange.askAbout(peerIdFromString(old.peer), subjects, { signal: soon() }),
    ).toBeUndefined()
    expect(
      await old.exchange.askAbout(peerIdFromString(modern.peer), subjects, { signal: soon() }),
    ).toBeUndefined()
    const both = await start()
    await both.network.connect(modern.address, soon())
    const about = await both.exchange.askAbout(peerIdFromString(modern.peer), subjects, { signal: soon() })
    expect(about).toHaveLength(2)
    expect(rulesBroken(modern, old).concat(rulesBroken(old, modern))).not.toContain('unrequested-answer')
  })
})

describe('a recommender that breaks the rules', () => {
  const lies: Record<string, (liar: Recommender, other: Recommender) => Promise<SignedBytes[]>> = {
    'other-parties': async (_, other) => [await statement(other)],
    'bad-signature': async (liar) => {
      const { payload, signature } = await statement(liar)
      return [{ payload, signature: signature.map((byte) => byte ^ 1) }]
    },
    'own-praise': async (liar) => [await statement(liar, { subject: peerIdFromString(liar.peer) })],
    'out-of-range': async (liar) => [await statement(liar, { score: 2 })],
    'malformed-message': async (liar) => [
      { ...(await statement(liar)), payload: new Uint8Array(9).fill(0xff) },
    ],
    'bad-size': async (liar) => [{ ...(await statement(liar)), signature: new Uint8Array(1) }],
    'too-many': async (liar) => {
      const one = await statement(liar)
      return Array.from({ length: 65 }, () => one)
    },
    'no-progress': async (liar) => [await statement(liar)],
  }

  it('is not believed in anything, and it is evidence', async () => {
    const page: { answer: SignedBytes[]; more: boolean } = { answer: [], more: false }
    const book: Partial<Book> = {
      admits: () => true,
      page: (since) => ({ recommendations: page.answer, next: since, more: page.more }),
    }
    const [liar, other] = [await start({ book }), await start()]
    await other.network.connect(liar.address, soon())
    for (const [rule, lie] of Object.entries(lies)) {
      page.answer = await lie(liar, other)
      page.more = rule === 'no-progress'
      await expect(
        other.exchange.ask(peerIdFromString(liar.peer), 0n, { signal: soon() }),
        rule,
      ).rejects.toMatchObject({ code: 'ERR_PROTOCOL_VIOLATION', details: { rule } })
      other.trust.setScore(liar.peer, 0.5)
    }
    expect(rulesBroken(other, liar)).toEqual(Object.keys(lies))
    // Outdated and of the future: left out, and nobody's fault.
    page.more = false
    page.answer = [
      await statement(liar, { atMs: Date.now() - 31 * 86_400_000 }),
      await statement(liar, { atMs: Date.now() + 10 * 60_000 }),
      await statement(liar, { atMs: Date.now() + 60_000 }),
    ]
    const answer = await other.exchange.ask(peerIdFromString(liar.peer), 0n, { signal: soon() })
    expect(answer.recommendations).toHaveLength(1)
  })

  it('answers about others than it was asked for nothing', async () => {
    const answer: SignedBytes[] = []
    const book = { admits: () => true, about: async () => answer }
    const [liar, other] = [await start({ book }), await start()]
    await other.network.connect(liar.address, soon())
    answer.push(await statement(liar))
    await expect(
      other.exchange.askAbout(peerIdFromString(liar.peer), [await newPeerId()], { signal: soon() }),
    ).rejects.toMatchObject({ details: { rule: 'unrequested-answer' } })
  })

  it('is held to what it signed last, over gossip and restarts of a counter', async () => {
    const [liar, hearer] = await pair()
    await met(liar)
    await eventually('the greeting was heard', () => hearer.recommendations.statistics().taken > 0)
    const { taken } = hearer.recommendations.statistics()
    const subject = await newPeerId()
    const name = subject.toString()
    const newer = await statement(liar, { subject, score: 0.2, sequence: 9n })
    const older = await statement(liar, { subject, score: 1, sequence: 8n })
    const honesty = (): number | undefined => hearer.trust.explain(name).recommendations[0]?.score
    await liar.gossip.publish(RECOMMENDATIONS_TOPIC, encodeBundle([newer]))
    await eventually('heard', () => honesty() === 0.2)
    await liar.gossip.publish(RECOMMENDATIONS_TOPIC, encodeBundle([older]))
    const last = await statement(liar, { sequence: 1n })
    await liar.gossip.publish(RECOMMENDATIONS_TOPIC, encodeBundle([last, older]))
    await eventually('the last was heard', () => hearer.recommendations.statistics().taken === taken + 2)
    expect(honesty()).toBe(0.2)
  })

  it('is evidence in gossip: bytes that are nothing, words of others, signatures that are none', async () => {
    const [liar, hearer] = await pair()
    await met(liar)
    const forged = await statement(liar)
    const bundles = [
      new Uint8Array(64).fill(0xff),
      encodeBundle([await statement(hearer)]),
      encodeBundle([{ ...forged, signature: new Uint8Array(64) }]),
    ]
    for (const bundle of bundles) await liar.gossip.publish(RECOMMENDATIONS_TOPIC, bundle)
    await eventually('all are evidence', () => rulesBroken(hearer, liar).length === 3)
    expect(rulesBroken(hearer, liar)).toEqual(expect.arrayContaining(['content', 'signature']))
    expect(hearer.recommendations.statistics().invalid).toBe(1)
  })
})

describe('a hearer that breaks the rules', () => {
  it('gets no answer to garbage, oversize and silence, and it is evidence', async () => {
    const [witness, hearer] = await pair()
    for (const bytes of [Uint8Array.of(3, 0xff, 0xff, 0xff), Uint8Array.of(0xff, 0xff, 0x7f)]) {
      const stream = await openStream(hearer, witness)
      const ended = pEvent(stream, 'close', { signal: soon() })
      stream.send(bytes)
      await ended
    }
    await eventually('evidence', () => rulesBroken(witness, hearer).includes('malformed-message'))
    const silent = await Promise.all(Array.from({ length: 4 }, () => openStream(hearer, witness)))
    const fifth = await openStream(hearer, witness)
    await eventually('the fifth is closed', () => fifth.status !== 'open')
    expect(witness.trust.evidence({ peer: hearer.peer }).evidence).toContainEqual(
      expect.objectContaining({ kind: 'limit-exceeded', detail: { limit: 'trust-streams' } }),
    )
    for (const stream of silent) stream.abort(new Error('done'))
  })

  it('is refused when blocked, and told to wait when it asks too often', async () => {
    const [witness, hearer] = await pair()
    const ask = (): Promise<unknown> =>
      hearer.exchange.ask(peerIdFromString(witness.peer), 0n, { signal: soon() })
    const statuses: unknown[] = []
    for (let time = 0; time < 20; time += 1)
      await ask().catch((error: { details: { status: number } }) => statuses.push(error.details.status))
    expect(new Set(statuses)).toEqual(new Set([8]))
    witness.trust.report(hearer.peer, 'message-invalid')
    witness.trust.report(hearer.peer, 'message-invalid')
    witness.trust.report(hearer.peer, 'message-invalid')
    await expect(ask()).rejects.toMatchObject({ details: { status: 3 } })
    await expect(
      hearer.exchange.ask(peerIdFromString(witness.peer), 0n, { signal: AbortSignal.abort() }),
    ).rejects.toThrow()
  })
})
