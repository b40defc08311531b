import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { networkOf, spread } from '../../../../src/vault/place/diversity.ts'
import { mostUnproven, withNewcomersShare } from '../../../../src/vault/place/newcomers.ts'
import { rendezvousOrder } from '../../../../src/vault/place/order.ts'
import { chooseRedundancy, parseRedundancy, writtenForm } from '../../../../src/vault/place/redundancy.ts'

const peers = fc.uniqueArray(
  fc.record({
    name: fc.string({ minLength: 1, maxLength: 12 }),
    weight: fc.double({ min: 1, max: 1e15, noNaN: true }),
  }),
  { selector: ({ name }) => name, maxLength: 40 },
)
const groups = fc.uint8Array({ minLength: 32, maxLength: 32 })

describe('rendezvousOrder', () => {
  it('is an order of the same peers, whatever order they come in', () => {
    fc.assert(
      fc.property(groups, peers, (group, items) => {
        const ordered = rendezvousOrder(group, items)
        expect(ordered.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual(
          items.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
        )
        expect(rendezvousOrder(group, items.toReversed())).toEqual(ordered)
      }),
    )
  })

  it('keeps the order of the others when one goes', () => {
    fc.assert(
      fc.property(groups, peers, fc.nat(), (group, items, at) => {
        fc.pre(items.length > 0)
        const gone = items[at % items.length]
        expect(
          rendezvousOrder(
            group,
            items.filter((item) => item !== gone),
          ),
        ).toEqual(rendezvousOrder(group, items).filter((item) => item !== gone))
      }),
    )
  })

  it('gives each peer the share of its weight', () => {
    const items = [1, 2, 5].map((weight) => ({ name: `peer-${weight}`, weight }))
    const counts = new Map<string, number>()
    const rounds = 4_000
    for (let round = 0; round < rounds; round += 1) {
      const name = rendezvousOrder(randomBytes(32), items)[0]?.name ?? ''
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    // Standard deviation of a share is under 0.8 %; 4 % is five of them.
    for (const { name, weight } of items) expect((counts.get(name) ?? 0) / rounds).toBeCloseTo(weight / 8, 1)
  })
})

describe('networkOf', () => {
  it('takes /24 of IPv4 and /48 of IPv6', () => {
    expect(networkOf('192.0.2.17')).toBe('192.0.2.0/24')
    expect(networkOf('::ffff:192.0.2.17')).toBe('192.0.2.0/24')
    expect(networkOf('2001:db8:5:7::1')).toBe('2001:db8:5::/48')
    expect(networkOf('2001:0DB8:0005::')).toBe('2001:db8:5::/48')
    expect(networkOf('fe80::1%eth0')).toBe('fe80:0:0::/48')
  })

  it('knows no network of loopback and of what is no address', () => {
    for (const address of [
      '127.0.0.1',
      '127.9.9.9',
      '::1',
      '::ffff:127.0.0.1',
      undefined,
      '',
      'name',
      '1::2::3',
      '1:2:3',
    ])
      expect(networkOf(address)).toBeUndefined()
  })
})

describe('spread', () => {
  const networks = fc.constantFrom(undefined, 'a', 'b', 'c', 'd', 'e')
  const items = fc.array(fc.record({ network: networks, isProven: fc.boolean() }), { maxLength: 60 })
  const of = (network: string | undefined, isProven = true) => ({ network, isProven })

  it('holds at most a quarter of one network among the first n where there are enough others', () => {
    fc.assert(
      fc.property(items, fc.integer({ min: 1, max: 64 }), (ordered, n) => {
        const result = spread(ordered, n)
        expect(new Set(result)).toEqual(new Set(ordered))
        expect(result).toHaveLength(ordered.length)
        const most = Math.ceil(n / 4)
        const counts = new Map<string, number>()
        for (const { network } of ordered)
          if (network !== undefined) counts.set(network, (counts.get(network) ?? 0) + 1)
        const free = ordered.filter(({ network }) => network === undefined).length
        const possible = free + [...counts.values()].reduce((sum, count) => sum + Math.min(count, most), 0)
        if (possible < n) return
        for (const network of counts.keys())
          expect(result.slice(0, n).filter((item) => item.network === network).length).toBeLessThanOrEqual(
            most,
          )
      }),
    )
  })

  it('changes nothing where no network is known', () => {
    const ordered = Array.from({ length: 9 }, (_, at) => ({ ...of(undefined), at }))
    expect(spread(ordered, 4)).toEqual(ordered)
  })

  it('fills up with whom it has where the network is smaller', () => {
    const ordered = Array.from({ length: 6 }, (_, at) => ({ ...of('a'), at }))
    expect(spread(ordered, 8)).toEqual(ordered)
  })

  it('counts the networks of those that are chosen already', () => {
    expect(spread([of('a'), of('b')], 1, { present: [of('a')] })).toEqual([of('b'), of('a')])
  })

  it('holds at most so many that have proved nothing where there are enough others, those that are chosen with them', () => {
    fc.assert(
      fc.property(
        items,
        items,
        fc.integer({ min: 1, max: 64 }),
        fc.nat({ max: 32 }),
        (ordered, present, n, most) => {
          const result = spread(ordered, n, { present, mostUnproven: most })
          expect(result).toHaveLength(ordered.length)
          expect(new Set(result)).toEqual(new Set(ordered))
          const unproven = (of: typeof ordered) => of.filter(({ isProven }) => !isProven).length
          const free = ordered.filter(({ network, isProven }) => network === undefined && isProven).length
          if (free < n) return
          expect(unproven(result.slice(0, n))).toBeLessThanOrEqual(Math.max(0, most - unproven(present)))
        },
      ),
    )
  })
})

describe('newcomers', () => {
  it('are a tenth of all weights at most, among themselves as before', () => {
    const items = fc.array(
      fc.record({ weight: fc.double({ min: 1, max: 1e15, noNaN: true }), isProven: fc.boolean() }),
      { maxLength: 40 },
    )
    fc.assert(
      fc.property(items, (all) => {
        const changed = withNewcomersShare(all)
        const sum = (isProven: boolean) =>
          changed.reduce((total, item) => total + (item.isProven === isProven ? item.weight : 0), 0)
        const [proven, unproven] = [sum(true), sum(false)]
        if (proven === 0) expect(changed).toEqual(all)
        else expect(unproven / (proven + unproven)).toBeLessThanOrEqual(0.1 + 1e-9)
        for (const [at, item] of all.entries()) {
          expect(changed[at]?.isProven).toBe(item.isProven)
          if (item.isProven) expect(changed[at]?.weight).toBe(item.weight)
          else expect(changed[at]?.weight).toBeLessThanOrEqual(item.weight)
        }
      }),
    )
  })

  it('may hold what can be lost twice', () => {
    expect(mostUnproven({ k: 4, n: 8 })).toBe(2)
    expect(mostUnproven({ k: 20, n: 40 })).toBe(10)
    expect(mostUnproven({ k: 1, n: 5 })).toBe(2)
    expect(mostUnproven({ k: 1, n: 2 })).toBe(0)
  })
})

describe('chooseRedundancy', () => {
  it('chooses by how many are eligible', () => {
    const chosen = (eligible: number) => writtenForm(chooseRedundancy('auto', eligible, false))
    expect([2, 3, 5, 7, 8, 39, 40, 200].map(chosen)).toEqual([
      'copies:2',
      'copies:3',
      'copies:5',
      'copies:5',
      'rs:4/8',
      'rs:4/8',
      'rs:20/40',
      'rs:20/40',
    ])
  })

  it('refuses too few, with what is needed, found, and why others are not', () => {
    expect(() => chooseRedundancy('rs:4/8', 6, false, ['peer: it is full'])).toThrow(
      expect.objectContaining({
        code: 'ERR_TOO_FEW_HOLDERS',
        kind: 'unavailable',
        details: { needed: 8, found: 6, redundancy: 'rs:4/8', reasons: ['peer: it is full'] },
      }),
    )
    expect(() => chooseRedundancy('auto', 1, false)).toThrow(
      expect.objectContaining({ code: 'ERR_TOO_FEW_HOLDERS' }),
    )
    expect(() => chooseRedundancy('auto', 0, true)).toThrow(
      expect.objectContaining({ code: 'ERR_TOO_FEW_HOLDERS' }),
    )
  })

  it('goes on degraded with as many as it takes to read', () => {
    expect(chooseRedundancy('rs:4/8', 4, true)).toEqual({ k: 4, n: 8 })
    expect(chooseRedundancy('copies:5', 1, true)).toEqual({ k: 1, n: 5 })
    expect(() => chooseRedundancy('rs:4/8', 3, true)).toThrow(
      expect.objectContaining({ code: 'ERR_TOO_FEW_HOLDERS' }),
    )
  })

  it('reads what it writes, and refuses the rest', () => {
    for (const written of ['copies:1', 'copies:64', 'rs:2/3', 'rs:63/64']) {
      const parsed = parseRedundancy(written)
      expect(parsed === 'auto' ? parsed : writtenForm(parsed)).toBe(written)
    }
    for (const written of ['copies:0', 'copies:65', 'rs:4/4', 'rs:8/4', 'rs:0/3', 'rs:4', '', 'RS:4/8'])
      expect(() => parseRedundancy(written)).toThrow(
        expect.objectContaining({ code: 'ERR_REDUNDANCY_INVALID' }),
      )
  })
})
