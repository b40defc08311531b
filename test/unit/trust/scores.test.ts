import { afterEach, beforeEach, describe, expect, it } from 'vitest'
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
