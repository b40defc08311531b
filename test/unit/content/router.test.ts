import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Claim } from '../../../src/content/capabilities/index.ts'
import { createSourceRouter, type RunningSourceRouter } from '../../../src/content/router/index.ts'
import { decayed, learn, unknown } from '../../../src/content/router/learn.ts'
import { MAX_LATENCY_MS, MAX_SEARCH_LATENCY_MS, MOST_SOURCES } from '../../../src/content/router/limits.ts'
import { optimalCount, preferenceOf } from '../../../src/content/router/rules.ts'
import { scoreOf, type SourceFacts } from '../../../src/content/router/score.ts'
import type { Candidate, Outcome } from '../../../src/content/router/types.ts'
import { openState, type StateDatabase } from '../../../src/storage/state/index.ts'
import { defaultConfig } from '../../support/config.ts'
import { quiet } from '../../support/content.ts'
import { rawCid } from '../../support/content-protocol.ts'

const DAY_MS = 86_400_000
const MIB = 1024 * 1024
const { content } = await defaultConfig()
const { weights, fastBandwidthBytesPerSecond: fast } = content.router

const statistics = fc.record({
  successes: fc.double({ min: 0, max: 1e6, noNaN: true }),
  failures: fc.double({ min: 0, max: 1e6, noNaN: true }),
  bytes: fc.double({ min: 0, max: 1e15, noNaN: true }),
  transferMs: fc.double({ min: 0, max: 1e12, noNaN: true }),
  latencyMs: fc.option(fc.double({ min: 0, max: 1e7, noNaN: true })),
  claimsKept: fc.double({ min: 0, max: 1e6, noNaN: true }),
  claimsBroken: fc.double({ min: 0, max: 1e6, noNaN: true }),
})
const facts: fc.Arbitrary<SourceFacts> = fc.record({
  kind: fc.constantFrom('peer', 'provider', 'ipfs', 'proxy', 'gateway'),
  hasIpfs: fc.boolean(),
  trust: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  toldBytesPerSecond: fc.option(fc.maxSafeNat()),
  connectionLatencyMs: fc.option(fc.double({ min: 0, max: 1e7, noNaN: true })),
  statistics: fc.option(statistics, { nil: undefined }),
  claim: fc.constantFrom<Claim>('yes', 'no', 'unknown'),
  preference: fc.constantFrom('p2p', 'ipfs', 'none'),
})
const score = (of: SourceFacts): number => scoreOf(of, weights, fast).score

describe('a score', () => {
  it('is the sum of its terms, within the bounds that the weights set', () => {
    const { latency, ...others } = weights
    const most = Object.values(others).reduce((sum, weight) => sum + weight, 0)
    fc.assert(
      fc.property(facts, (of) => {
        const { score, terms } = scoreOf(of, weights, fast)
        expect(terms.reduce((sum, { points }) => sum + points, 0)).toBeCloseTo(score, 6)
        expect(score).toBeLessThanOrEqual(most)
        expect(score).toBeGreaterThanOrEqual(-latency * MAX_LATENCY_MS - weights.success)
        expect(terms.map(({ name }) => name)).toEqual([
          'kind',
          'ipfs',
          'trust',
          'bandwidth',
          'latency',
          'success',
          'bytes',
          'claim',
          'preference',
        ])
      }),
    )
  })

  it('is the one of the seed where nothing else is known', () => {
    const peer: SourceFacts = {
      kind: 'peer',
      hasIpfs: true,
      trust: 0.5,
      toldBytesPerSecond: null,
      connectionLatencyMs: 20,
      statistics: { ...unknown(0), bytes: 2_000_000, transferMs: 1_000, latencyMs: 20 },
      claim: 'unknown',
      preference: 'none',
    }
    const bytes = scoreOf(peer, weights, fast).terms.find(({ name }) => name === 'bytes')?.points ?? 0
    expect(score(peer) - bytes).toBeCloseTo(100 + 50 + 0.5 * 10 + 20 - 20 / 10, 6)
  })

  it('never falls with more trust, bandwidth, success, bytes or a claim, and never rises with latency or failures', () => {
    fc.assert(
      fc.property(facts, statistics, fc.double({ min: 0, max: 1, noNaN: true }), (of, known, more) => {
        const base: SourceFacts = { ...of, statistics: known }
        const at = (change: Partial<SourceFacts['statistics']>): number =>
          score({ ...base, statistics: { ...known, ...change } })
        const almost = score(base) - 1e-6
        if (of.trust !== null)
          expect(score({ ...base, trust: Math.min(1, of.trust + more) })).toBeGreaterThanOrEqual(almost)
        expect(at({ successes: known.successes + more })).toBeGreaterThanOrEqual(almost)
        expect(at({ bytes: known.bytes * (1 + more) })).toBeGreaterThanOrEqual(almost)
        expect(at({ failures: known.failures + more })).toBeLessThanOrEqual(score(base) + 1e-6)
        expect(at({ claimsBroken: known.claimsBroken + more })).toBeLessThanOrEqual(score(base) + 1e-6)
        expect(at({ transferMs: (known.transferMs + 50) * (1 + more) })).toBeLessThanOrEqual(
          at({ transferMs: known.transferMs + 50 }) + 1e-6,
        )
        expect(at({ latencyMs: (known.latencyMs ?? 0) + 1_000 * more })).toBeLessThanOrEqual(
          at({ latencyMs: known.latencyMs ?? 0 }) + 1e-6,
        )
        expect(score({ ...base, claim: 'yes' })).toBeGreaterThanOrEqual(score({ ...base, claim: 'no' }))
        expect(score({ ...base, hasIpfs: true })).toBeGreaterThanOrEqual(score({ ...base, hasIpfs: false }))
        // A peer's latency counts further than that of those who search first.
        const latencyMs = Math.min(known.latencyMs ?? 0, MAX_SEARCH_LATENCY_MS)
        const near: SourceFacts = { ...base, statistics: { ...known, latencyMs } }
        expect(score({ ...near, kind: 'peer' })).toBeGreaterThanOrEqual(
          score({ ...near, kind: 'gateway', claim: 'no', preference: 'none' }) -
            (of.claim === 'yes' ? 0 : 1e-6),
        )
      }),
    )
  })
})

describe('what is learned', () => {
  const outcome: fc.Arbitrary<Outcome> = fc.record({
    kind: fc.constant('peer'),
    id: fc.constant('a'),
    result: fc.constantFrom('served', 'missing', 'failed', 'invalid'),
    bytes: fc.nat(),
    transferMs: fc.nat(),
    latencyMs: fc.option(fc.nat()),
  })

  it('halves with each half-life, in whatever steps time passes, and never with a clock that goes back', () => {
    fc.assert(
      fc.property(statistics, fc.nat(30), fc.double({ min: 0, max: 1, noNaN: true }), (known, days, part) => {
        const from = { ...known, atMs: 1_000 }
        const whole = decayed(from, 1_000 + days * DAY_MS, DAY_MS)
        const half = decayed(from, 1_000 + part * days * DAY_MS, DAY_MS)
        const twice = decayed(half, 1_000 + days * DAY_MS, DAY_MS)
        expect(whole.bytes).toBeCloseTo(known.bytes * 2 ** -days, 0)
        expect(twice.successes).toBeCloseTo(whole.successes, 3)
        expect(decayed(from, 0, DAY_MS)).toEqual(from)
      }),
    )
  })

  it('stays finite and positive, whatever comes', () => {
    fc.assert(
      fc.property(fc.array(outcome), fc.constantFrom<Claim>('yes', 'no', 'unknown'), (outcomes, claim) => {
        let known = unknown(0)
        for (const each of outcomes) known = learn(decayed(known, known.atMs + 1_000, DAY_MS), each, claim)
        const { latencyMs, ...counts } = known
        for (const value of [latencyMs ?? 0, ...Object.values(counts)]) {
          expect(Number.isFinite(value)).toBe(true)
          expect(value).toBeGreaterThanOrEqual(0)
        }
      }),
    )
  })

  it('is no failure where nobody had said to have the content', () => {
    const missing: Outcome = {
      kind: 'peer',
      id: 'a',
      result: 'missing',
      bytes: 0,
      transferMs: 0,
      latencyMs: 5,
    }
    expect(learn(unknown(0), missing, 'unknown')).toMatchObject({ failures: 0, claimsBroken: 0 })
    expect(learn(unknown(0), missing, 'yes')).toMatchObject({ failures: 1, claimsBroken: 1 })
  })
})

describe('how many sources', () => {
  it('grows with the size, within its bounds', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)]
        expect(optimalCount(less)).toBeLessThanOrEqual(optimalCount(more))
        expect(optimalCount(less)).toBeGreaterThanOrEqual(1)
        expect(optimalCount(more)).toBeLessThanOrEqual(MOST_SOURCES)
      }),
    )
    expect([1, 3 * MIB, 1024 * MIB, undefined].map(optimalCount)).toEqual([1, 3, 8, 3])
  })
})

describe('the rules', () => {
  it.each([
    [{ isPrivate: true }, 'p2p'],
    [{ isPrivate: true, sizeBytes: 1024 * MIB }, 'none'],
    [{}, 'ipfs'],
    [{ sizeBytes: 1000 }, 'none'],
    [{ sizeBytes: 1000, ageMs: 1000 }, 'p2p'],
    [{ sizeBytes: 1024 * MIB, ageMs: 60 * DAY_MS }, 'ipfs'],
  ] as const)('say of %j: %s', (of, preference) => {
    expect(preferenceOf(of, content.router)).toBe(preference)
  })
})

describe('a router', () => {
  let folder: string
  let state: StateDatabase
  let router: RunningSourceRouter
  let nowMs: number
  const root = rawCid(Buffer.from('root'))
  const hidden = rawCid(Buffer.from('hidden'))
  const [a, b, c]: Candidate[] = ['a', 'b', 'c'].map((id) => ({ kind: 'peer', id }))
  const claiming = new Set<string>()

  const open = (): RunningSourceRouter =>
    createSourceRouter({
      config: content.router,
      state,
      capabilities: { of: () => undefined, claims: (peer) => (claiming.has(peer) ? 'yes' : 'unknown') },
      trust: { score: () => 0.5 },
      privateMark: { isPrivate: (cid) => cid.equals(hidden) },
      latencyMs: () => null,
      log: quiet,
      now: () => nowMs,
    })
  const report = (id: string, result: Outcome['result'], bytes = 0): void =>
    router.report(root, {
      kind: 'peer',
      id,
      result,
      bytes,
      transferMs: bytes === 0 ? 0 : 1_000,
      latencyMs: 10,
    })
  const order = (): string[] => router.rank(root, [a!, b!, c!]).map(({ id }) => id)

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'p2pnode-router-'))
    state = await openState({ path: join(folder, 'state.db'), log: quiet })
    nowMs = 1_800_000_000_000
    claiming.clear()
    router = open()
  })

  afterEach(async () => {
    router.stop()
    await state.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('loses nobody, and keeps the order of those of whom it knows nothing', () => {
    expect(order()).toEqual(['a', 'b', 'c'])
    report('c', 'served', 50 * MIB)
    report('a', 'failed')
    expect(order()).toEqual(['c', 'b', 'a'])
  })

  it('puts one that claims to have it first, until claims were broken, and again once that is long ago', () => {
    claiming.add('b')
    expect(order()[0]).toBe('b')
    for (let time = 0; time < 10; time += 1) report('b', 'missing')
    expect(order()).toEqual(['a', 'c', 'b'])
    nowMs += 10 * DAY_MS
    expect(order()[0]).toBe('b')
  })

  it('never names a public source for private content, nor counts reaching IPFS', () => {
    const all: Candidate[] = [
      a!,
      { kind: 'ipfs', id: 'ipfs' },
      { kind: 'proxy', id: 'b' },
      { kind: 'gateway', id: 'http://a.b' },
    ]
    expect(router.rank(hidden, all).map(({ kind }) => kind)).toEqual(['peer'])
    expect(router.rank(root, all)).toHaveLength(4)
    expect(router.rank(root, all, { isPrivate: true })).toHaveLength(1)
  })

  it('leaves IPFS, proxies, gateways in this order where nothing is known but that content is public', () => {
    const outer: Candidate[] = [
      { kind: 'ipfs', id: 'ipfs' },
      { kind: 'proxy', id: 'a' },
      { kind: 'gateway', id: 'http://a.b' },
    ]
    const kinds = (facts = {}): string[] => router.rank(root, outer, facts).map(({ kind }) => kind)
    expect(kinds()).toEqual(['ipfs', 'proxy', 'gateway'])
    expect(kinds({ sizeBytes: 2 ** 40, ageMs: 1_000 * DAY_MS })).toEqual(['ipfs', 'proxy', 'gateway'])
    expect(kinds({ sizeBytes: 1, ageMs: 0 })).toEqual(['proxy', 'ipfs', 'gateway'])
    const slow = { result: 'served' as const, bytes: 2 ** 20, transferMs: 1_000, latencyMs: 4_000 }
    for (let time = 0; time < 5; time += 1) router.report(root, { ...outer[0]!, ...slow })
    expect(kinds()[0]).toBe('ipfs')
    for (let time = 0; time < 20; time += 1) router.report(root, { ...outer[0]!, ...slow, result: 'failed' })
    expect(kinds().at(-1)).toBe('ipfs')
  })

  it('knows a peer as a proxy apart from what it is as a source', () => {
    router.report(root, {
      kind: 'proxy',
      id: 'a',
      result: 'failed',
      bytes: 0,
      transferMs: 0,
      latencyMs: null,
    })
    expect(router.statistics({ kind: 'provider', id: 'a' })).toBeUndefined()
    expect(router.statistics({ kind: 'proxy', id: 'a' })?.failures).toBe(1)
  })

  it('remembers over restarts', () => {
    report('a', 'served', 10 * MIB)
    router.stop()
    nowMs += DAY_MS
    router = open()
    expect(router.statistics(a!)).toMatchObject({ successes: 0.5, bytes: 5 * MIB, latencyMs: 10 })
  })

  it('goes on where the disk refuses', async () => {
    report('a', 'served', MIB)
    await state.close()
    router.stop()
    report('a', 'served', MIB)
    expect(router.statistics(a!)?.successes).toBe(2)
  })

  it('forgets those of whom nothing was heard for longest', () => {
    const insert = state.db.prepare('INSERT INTO source VALUES (?, 0, 0, 0, 0, NULL, 0, 0, ?)')
    state.writeRelaxed(() => {
      for (let index = 0; index < 10_005; index += 1) insert.run(`old ${index}`, index)
    })
    report('a', 'served', MIB)
    router.stop()
    expect(state.db.prepare('SELECT count(*) FROM source').pluck().get()).toBe(10_000)
    expect(state.db.prepare("SELECT count(*) FROM source WHERE source = 'a'").pluck().get()).toBe(1)
  })
})
