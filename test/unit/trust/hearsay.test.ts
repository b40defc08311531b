import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Account, newAccount, note, strengthAt, viewsAt } from '../../../src/trust/model/account.ts'
import {
  besideSeen,
  HEARSAY_MAX,
  heardTogether,
  type Opinion,
  RECOMMENDER_MAX,
  worthOf,
} from '../../../src/trust/model/hearsay.ts'
import { BASELINE } from '../../../src/trust/model/weights.ts'
import { networkRange } from '../../../src/trust/recommend/range.ts'

const NOW_MS = 1_700_000_000_000
const DAY_MS = 24 * 3_600_000
const share = fc.double({ min: 0, max: 1, noNaN: true })
const opinion = fc.record({
  score: share,
  evidence: fc.nat({ max: 1_000_000 }),
  atMs: fc.integer({ min: NOW_MS - 40 * DAY_MS, max: NOW_MS + 300_000 }),
  range: fc.constantFrom('', '198.51.100.0/24', '203.0.113.0/24', '2001:db8:1::/48'),
  recommender: share,
})
const opinions = fc.array(opinion, { maxLength: 60 })
const certain = (changes: Partial<Opinion>): Opinion => ({
  score: 0,
  evidence: 1_000_000,
  atMs: NOW_MS,
  range: '203.0.113.0/24',
  recommender: 1,
  ...changes,
})
const everywhere = (count: number, changes: Partial<Opinion>): Opinion[] =>
  Array.from({ length: count }, (_, index) =>
    certain({ range: `10.${index >> 8}.${index & 255}.0/24`, ...changes }),
  )

describe('what others say', () => {
  it('stays within its bounds, whoever speaks', () => {
    fc.assert(
      fc.property(opinions, share, (all, strength) => {
        const heard = heardTogether(all, NOW_MS)
        expect(Math.abs(heard)).toBeLessThanOrEqual(HEARSAY_MAX)
        expect(Math.abs(besideSeen(heard, strength))).toBeLessThanOrEqual(Math.abs(heard) + 1e-12)
        for (const one of all) expect(Math.abs(worthOf(one, NOW_MS))).toBeLessThanOrEqual(RECOMMENDER_MAX)
      }),
    )
  })

  it('does not depend on the order in which it came', () => {
    fc.assert(
      fc.property(opinions, (all) => {
        expect(heardTogether(all.toReversed(), NOW_MS)).toBeCloseTo(heardTogether(all, NOW_MS), 9)
      }),
    )
  })

  it('is never worth less for more praise, nor more for more blame', () => {
    fc.assert(
      fc.property(opinions, opinion, (all, next) => {
        const change = heardTogether([...all, next], NOW_MS) - heardTogether(all, NOW_MS)
        const direction = Math.sign(next.score - BASELINE)
        expect(change * direction).toBeGreaterThanOrEqual(-1e-12)
        if (direction === 0) expect(change).toBe(0)
      }),
    )
  })

  it('is worth no less where one says better of the same peer', () => {
    fc.assert(
      fc.property(opinions, opinion, share, (all, one, better) => {
        const high = Math.max(one.score, better)
        expect(heardTogether([...all, { ...one, score: high }], NOW_MS)).toBeGreaterThanOrEqual(
          heardTogether([...all, one], NOW_MS) - 1e-12,
        )
      }),
    )
  })

  it('is nothing from newcomers and worse, however many', () => {
    fc.assert(
      fc.property(opinions, (all) => {
        const strangers = all.map((one) => ({ ...one, recommender: one.recommender * BASELINE }))
        expect(heardTogether(strangers, NOW_MS)).toBeCloseTo(0, 12)
      }),
    )
  })

  it('counts a network as the one of its peers that says most', () => {
    const ring = Array.from({ length: 1_000 }, () => certain({ score: 1 }))
    expect(heardTogether(ring, NOW_MS)).toBeCloseTo(worthOf(certain({ score: 1 }), NOW_MS), 9)
    // And does not silence the one in it that warns.
    expect(heardTogether([...ring, certain({ score: 0 })], NOW_MS)).toBeCloseTo(0, 9)
  })

  it('leaves a slandered newcomer what newcomers are for, and gives a praised one no trust of its own', () => {
    expect(BASELINE + heardTogether(everywhere(500, { score: 0 }), NOW_MS)).toBeCloseTo(0.35, 9)
    expect(BASELINE + heardTogether(everywhere(500, { score: 1 }), NOW_MS)).toBeCloseTo(0.65, 9)
  })

  it('lets no chorus drown a warning altogether, and no slander ring undo more than praise gave', () => {
    const warned = [...everywhere(500, { score: 1 }), certain({ score: 0, range: 'elsewhere' })]
    expect(heardTogether(warned, NOW_MS)).toBeCloseTo(HEARSAY_MAX - RECOMMENDER_MAX, 6)
  })

  it('never outweighs what was seen of a peer that is 0.1 from the baseline', () => {
    const kinds = ['audit-passed', 'transfer-served', 'message-invalid', 'block-invalid'] as const
    const history = fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(history, opinions, (events, all) => {
        const account: Account = newAccount(NOW_MS)
        for (const kind of events) note(account, kind, NOW_MS)
        const seen = viewsAt(account, NOW_MS).honesty
        if (Math.abs(seen - BASELINE) < 0.1 - 1e-9) return
        const strength = strengthAt(account, NOW_MS, 'honesty')
        const both = seen + besideSeen(heardTogether(all, NOW_MS), strength)
        // On the same side as what was seen, whatever was said.
        expect((both - BASELINE) * (seen - BASELINE)).toBeGreaterThan(0)
      }),
    )
  })

  it('is forgotten by half in two weeks, and grows with what it stands on', () => {
    const now = worthOf(certain({}), NOW_MS)
    expect(worthOf(certain({ atMs: NOW_MS - 14 * DAY_MS }), NOW_MS)).toBeCloseTo(now / 2, 9)
    expect(worthOf(certain({ evidence: 0 }), NOW_MS)).toBeCloseTo(0, 12)
    expect(worthOf(certain({ evidence: 2 }), NOW_MS)).toBeCloseTo(now / 2, 5)
    // A clock that is ahead gains nothing.
    expect(worthOf(certain({ atMs: NOW_MS + DAY_MS }), NOW_MS)).toBeCloseTo(now, 9)
  })
})

describe('the network of an address', () => {
  it.each([
    ['/ip4/203.0.113.7/tcp/4700', '203.0.113.0/24'],
    ['/ip4/203.0.113.200/udp/4700/quic-v1', '203.0.113.0/24'],
    ['/ip6/2001:db8:1:2::7/tcp/4700', '2001:db8:1::/48'],
    ['/ip6/2001:0db8:0001::/tcp/4700', '2001:db8:1::/48'],
    ['/ip6/::1/tcp/4700', '0:0:0::/48'],
    ['/ip6/::ffff:203.0.113.9/tcp/4700', '203.0.113.0/24'],
    ['/ip4/203.0.113.7/tcp/4700/p2p/12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5/p2p-circuit', ''],
    ['/dns4/example.com/tcp/4700', ''],
    ['/ip4/not-an-address/tcp/1', ''],
    ['', ''],
    [undefined, ''],
  ])('%s lies in %s', (address, range) => expect(networkRange(address)).toBe(range))
})
