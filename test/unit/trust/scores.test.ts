import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openScorekeeper, type Scorekeeper } from '../../../src/trust/scores.ts'
import { RULES } from '../../../src/trust/thresholds.ts'
import type { Action } from '../../../src/trust/contract.ts'
import { createTrust, type TrustService } from '../../../src/trust/index.ts'
import { quietLogger } from '../../support/network.ts'
import { newPeer, openTrust, THRESHOLDS, type TrustFixture } from '../../support/trust.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 3_600_000

let fixture: TrustFixture
let peer: string
beforeEach(async () => {
  fixture = await openTrust({ thresholds: THRESHOLDS })
  ;({ peer } = await newPeer())
})
afterEach(() => fixture.close())

function reported(kind: Parameters<TrustFixture['trust']['report']>[1], times: number): void {
  for (let time = 0; time < times; time += 1) fixture.trust.report(peer, kind)
}

describe('scores and what they allow', () => {
  it('lets a newcomer do everything but what asks for a past', () => {
    const { trust } = fixture
    expect(trust.score(peer)).toBe(0.5)
    for (const action of ['dial', 'accept', 'serve-content', 'fetch', 'store', 'place', 'relay'] as const)
      expect(trust.decide(peer, action)).toEqual({ allowed: true })
    expect(trust.decide(peer, 'proxy')).toEqual({ allowed: false, reason: 'score' })
  })

  it('refuses by what an action asks for: a lost column ends placement, and nothing else', () => {
    const { trust } = fixture
    reported('audit-failed', 1)
    expect(trust.decide(peer, 'place')).toEqual({ allowed: false, reason: 'score' })
    expect(trust.score(peer, 'storage')).toBeCloseTo(0.3, 9)
    expect(trust.decide(peer, 'serve-chunk')).toEqual({ allowed: true })
    expect(trust.decide(peer, 'accept')).toEqual({ allowed: true })
    expect(trust.denials()).toEqual({ place: { score: 1 } })
  })

  it('bans who sends garbage, tells listeners once, and lets it back later', async () => {
    const { trust, clock } = fixture
    let changes = 0
    trust.onChange(() => (changes += 1))
    reported('message-invalid', 4)
    expect(trust.decide(peer, 'accept')).toEqual({ allowed: true })
    expect(changes).toBe(0)
    reported('message-invalid', 1)
    expect(trust.decide(peer, 'accept')).toEqual({ allowed: false, reason: 'banned' })
    await Promise.resolve()
    expect(changes).toBe(1)
    reported('message-invalid', 50)
    await Promise.resolve()
    expect(changes).toBe(1)
    expect(trust.explain(peer).bannedUntilMs).toBe(clock.nowMs + 10 * MINUTE_MS)

    clock.nowMs += 11 * MINUTE_MS
    expect(trust.decide(peer, 'accept')).toEqual({ allowed: false, reason: 'score' })
    clock.nowMs += 60 * DAY_MS
    expect(trust.decide(peer, 'accept')).toEqual({ allowed: true })
  })

  it('doubles a ban that follows another', () => {
    const { trust, clock } = fixture
    for (const minutes of [10, 20, 40]) {
      reported('message-invalid', 1)
      while (trust.explain(peer).bannedUntilMs === null) reported('message-invalid', 1)
      expect(trust.explain(peer).bannedUntilMs).toBe(clock.nowMs + minutes * MINUTE_MS)
      clock.nowMs += minutes * MINUTE_MS + 1
    }
  })

  it('keeps scores, bans and totals over a restart', () => {
    reported('message-invalid', 6)
    reported('transfer-served', 3)
    const before = fixture.trust.explain(peer)
    fixture.trust.stop()
    const after = fixture.reopen()
    expect(after.explain(peer)).toEqual(before)
    expect(after.explain(peer).totals).toContainEqual(
      expect.objectContaining({ kind: 'message-invalid', count: 6 }),
    )
    after.stop()
  })

  it('takes the word of the operator before its own, until that is taken back', async () => {
    const { trust } = fixture
    reported('message-invalid', 8)
    expect(trust.setScore(peer, 0.9)).toMatchObject({ score: 0.9, override: 0.9, bannedUntilMs: null })
    expect(trust.decide(peer, 'proxy')).toEqual({ allowed: true })
    reported('message-invalid', 8)
    expect(trust.decide(peer, 'accept')).toEqual({ allowed: true })
    const again = fixture.reopen()
    expect(again.score(peer)).toBe(0.9)
    again.stop()
    expect(trust.setScore(peer, null).override).toBeNull()
    expect(trust.decide(peer, 'accept').allowed).toBe(false)
    expect(() => trust.setScore(peer, 1.5)).toThrow(expect.objectContaining({ code: 'ERR_SCORE_INVALID' }))
    expect(() => trust.setScore(peer, Number.NaN)).toThrow(
      expect.objectContaining({ code: 'ERR_SCORE_INVALID' }),
    )
    expect(() => trust.setScore('nobody', 0.5)).toThrow(expect.objectContaining({ code: 'ERR_PEER_INVALID' }))
  })

  it('puts lists before scores', async () => {
    const { trust } = fixture
    const { peer: friend } = await newPeer()
    reported('message-invalid', 8)
    trust.allow(peer)
    expect(trust.decide(peer, 'proxy')).toEqual({ allowed: true })
    expect(trust.decide(friend, 'accept')).toEqual({ allowed: false, reason: 'not-on-allow-list' })
    trust.block(peer)
    expect(trust.decide(peer, 'accept')).toEqual({ allowed: false, reason: 'deny-list' })
  })

  it('explains a score by its terms', () => {
    const { trust } = fixture
    reported('message-invalid', 1)
    reported('transfer-failed', 2)
    const report = trust.explain(peer)
    const of = (view: 'honesty' | 'reliability'): number =>
      report.baseline +
      report.terms.filter(({ views }) => views.includes(view)).reduce((total, { value }) => total + value, 0)
    expect(report.honesty).toBeCloseTo(of('honesty'), 9)
    expect(report.reliability).toBeCloseTo(of('reliability'), 9)
    expect(report.decisions.find(({ action }) => action === 'place')).toMatchObject({
      measure: 'storage',
      threshold: 0.4,
      allowed: true,
    })
  })

  it('lists everybody in pages', async () => {
    const { trust } = fixture
    const names: string[] = []
    for (let index = 0; index < 5; index += 1) {
      const made = await newPeer()
      names.push(made.peer)
      trust.report(made.peer, 'dial-succeeded')
    }
    trust.stop()
    const first = trust.peers({ limit: 3 })
    const second = trust.peers({ limit: 3, afterPeer: first.nextAfterPeer ?? '' })
    expect([...first.peers, ...second.peers].map((entry) => entry.peer)).toEqual(names.toSorted())
    expect(second.nextAfterPeer).toBeNull()
  })
})

describe('what is explained', () => {
  const members = new Set<string>()
  let trust: TrustService
  let other: string
  beforeEach(async () => {
    members.clear()
    ;({ peer: other } = await newPeer())
    const { state, clock } = fixture
    trust = createTrust({
      state,
      log: quietLogger(),
      networkName: 'test',
      thresholds: THRESHOLDS,
      membership: { admits: (name) => members.size === 0 || members.has(name), onChange() {} },
      now: () => clock.nowMs,
    })
  })
  afterEach(() => trust.stop())

  it.each<[string, string | undefined, () => void]>([
    ['of whom nothing is known', undefined, () => {}],
    ['that is blocked', 'deny-list', () => void trust.block(peer)],
    ['that is not on the list of those that are allowed', 'not-on-allow-list', () => void trust.allow(other)],
    [
      'that is blocked and on that list',
      'deny-list',
      () => {
        trust.allow(peer)
        trust.block(peer)
      },
    ],
    [
      'that is on the list and no member',
      'not-a-member',
      () => {
        members.add(other)
        trust.allow(peer)
      },
    ],
    ['that is no member', 'not-a-member', () => void members.add(other)],
    [
      'that is banned',
      'banned',
      () => {
        for (let time = 0; time < 6; time += 1) trust.report(peer, 'message-invalid')
      },
    ],
    [
      'with a low score',
      'score',
      () => {
        for (let time = 0; time < 3; time += 1) trust.report(peer, 'message-invalid')
      },
    ],
    ['with the word of the operator', undefined, () => void trust.setScore(peer, 0.9)],
  ])('of a peer %s is what is decided', (_, reason, begin) => {
    begin()
    const { decisions } = trust.explain(peer)
    expect(decisions.map(({ action }) => action).toSorted()).toEqual(Object.keys(RULES).toSorted())
    const decided = (Object.keys(RULES) as Action[]).map((action) => ({
      action,
      decision: trust.decide(peer, action),
    }))
    for (const { action, decision } of decided)
      expect(decisions.find((each) => each.action === action)?.allowed, action).toBe(decision.allowed)
    if (reason !== undefined)
      expect(decided).toContainEqual(expect.objectContaining({ decision: { allowed: false, reason } }))
    expect(trust.peers().peers.every((each) => each.peer !== peer || each.decisions.length > 0)).toBe(true)
  })
})

describe('too many accounts', () => {
  const MAX = 40
  let keeper: Scorekeeper

  function write(): void {
    while (keeper.hasUnwritten()) {
      fixture.state.writeRelaxed(() => keeper.write())
      keeper.written()
    }
  }

  async function makeUp(count: number): Promise<string[]> {
    const names = await Promise.all(Array.from({ length: count }, async () => (await newPeer()).peer))
    for (const name of names) keeper.note(name, 'dial-failed', fixture.clock.nowMs)
    write()
    return names
  }

  function retain(): void {
    for (let step = 0; step < 1_000 && keeper.retain(fixture.clock.nowMs, 5); step += 1);
  }

  const stored = (): number =>
    fixture.state.db.prepare<[], number>('SELECT count(*) FROM trust_peer').pluck().get() ?? 0

  it('are made fewer by those of which least is known, and never by one that is banned', async () => {
    const { trust, clock, state } = fixture
    const { peer: liar } = await newPeer()
    for (let time = 0; time < 3; time += 1) trust.report(liar, 'block-invalid')
    const honestyOfLiar = trust.explain(liar).honesty
    reported('message-invalid', 5)
    expect(trust.decide(peer, 'accept')).toEqual({ allowed: false, reason: 'banned' })
    trust.stop()
    keeper = openScorekeeper(state, () => clock.nowMs, { maxAccounts: MAX })
    for (let round = 0; round < 5; round += 1) {
      clock.nowMs += MINUTE_MS
      await makeUp(MAX)
      retain()
      expect(stored()).toBe(MAX)
    }
    const after = fixture.reopen()
    expect(after.decide(peer, 'accept')).toEqual({ allowed: false, reason: 'banned' })
    expect(after.explain(liar).honesty).toBeCloseTo(honestyOfLiar, 2)
    after.stop()
  })

  it('are not made fewer by what the operator said, nor by what was seen just now; and old ones go first', async () => {
    const { clock, state } = fixture
    keeper = openScorekeeper(state, () => clock.nowMs, { maxAccounts: MAX })
    keeper.set(peer, 0.2, clock.nowMs)
    const old = await makeUp(10)
    clock.nowMs += 366 * DAY_MS
    const fresh = await makeUp(MAX)
    const [seenAgain = ''] = fresh
    keeper.note(seenAgain, 'dial-failed', clock.nowMs)
    retain()
    expect(stored()).toBe(MAX)
    expect(old.every((name) => keeper.find(name) === undefined)).toBe(true)
    expect(keeper.find(peer)?.override).toBe(0.2)
    expect(keeper.find(seenAgain)).toBeDefined()
    expect(keeper.retain(clock.nowMs, 5)).toBe(false)
  })
})
