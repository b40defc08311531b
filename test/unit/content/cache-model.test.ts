import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Followers } from '../../../src/content/cache/followers.ts'
import { COLD, heatAt, warmed } from '../../../src/content/cache/heat.ts'
import {
  FOLLOWS_WITHIN_MS,
  HALF_LIFE_MS,
  MAX_FOLLOWERS,
  MAX_LEADERS,
} from '../../../src/content/cache/limits.ts'
import { CacheModel } from '../../../src/content/cache/model.ts'
import { Prefetcher } from '../../../src/content/cache/prefetcher.ts'
import type { CacheStrategy } from '../../../src/content/cache/types.ts'
import { replay, scoreOf, seededTrace } from '../../support/cache-trace.ts'

const MINUTE_MS = 60_000
const STRATEGIES: CacheStrategy[] = ['lru', 'trust', 'predictive']

describe('heat', () => {
  it('halves in its half-life, is what was read, and never grows by waiting', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(10 * HALF_LIFE_MS), { maxLength: 50 }),
        fc.nat(HALF_LIFE_MS),
        (times, waitMs) => {
          let heat = COLD
          for (const time of times.toSorted((a, b) => a - b)) heat = warmed(heat, time, HALF_LIFE_MS)
          const now = heatAt(heat, heat.atMs, HALF_LIFE_MS)
          expect(now).toBeLessThanOrEqual(times.length)
          if (times.length > 0) expect(now).toBeGreaterThanOrEqual(1)
          expect(heatAt(heat, heat.atMs + HALF_LIFE_MS, HALF_LIFE_MS)).toBeCloseTo(now / 2)
          expect(heatAt(heat, heat.atMs + waitMs, HALF_LIFE_MS)).toBeLessThanOrEqual(now)
          // A clock that goes back.
          expect(heatAt(heat, heat.atMs - 1_000, HALF_LIFE_MS)).toBe(now)
        },
      ),
    )
  })
})

describe('what follows what', () => {
  it('is learned from series, and forgotten when habits change', () => {
    const followers = new Followers()
    let nowMs = 0
    const read = (...keys: string[]): void => {
      for (const key of keys) followers.read(key, (nowMs += 1_000))
    }
    read('a', 'b', 'c', 'a', 'b', 'c')
    expect(followers.after('a')).toEqual([{ key: 'b', share: 1 }])
    expect(followers.after('c')).toEqual([])
    for (let round = 0; round < 100; round++) read('a', 'x')
    expect(followers.after('a')[0]?.key).toBe('x')
    expect(followers.after('unknown')).toEqual([])
  })

  it('is nothing that comes long after', () => {
    const followers = new Followers()
    for (let round = 0; round < 10; round++) {
      followers.read('a', round * 10 * FOLLOWS_WITHIN_MS)
      followers.read('b', round * 10 * FOLLOWS_WITHIN_MS + 2 * FOLLOWS_WITHIN_MS)
    }
    expect(followers.after('a')).toEqual([])
  })

  it('stays within its bounds whatever is read', () => {
    const followers = new Followers()
    for (let index = 0; index < 3 * MAX_LEADERS; index++) followers.read(`${index}`, index)
    expect(followers.size).toBeLessThanOrEqual(MAX_LEADERS)
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'), { maxLength: 300 }),
        (keys) => {
          const table = new Followers()
          for (const [index, key] of keys.entries()) table.read(key, index)
          for (const key of 'abcdefgh') {
            const after = table.after(key)
            expect(after.length).toBeLessThanOrEqual(MAX_FOLLOWERS)
            expect(after.reduce((sum, { share }) => sum + share, 0)).toBeLessThanOrEqual(1.0001)
            expect(after.map((next) => next.key)).not.toContain(key)
          }
        },
      ),
    )
  })
})

describe('the model', () => {
  const commands = fc.array(
    fc.record({
      what: fc.constantFrom('read', 'hold', 'drop'),
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'),
      source: fc.constantFrom('good', 'bad/peer', ''),
    }),
    { maxLength: 200 },
  )

  it.each(STRATEGIES)('%s names each root that is held, once, and no other', (strategy) => {
    fc.assert(
      fc.property(commands, (run) => {
        const model = new CacheModel({ strategy, scoreOf, maxRoots: 6 })
        const held = new Set<string>()
        let nowMs = 0
        for (const { what, key, source } of run) {
          nowMs += MINUTE_MS
          if (what === 'read') model.read(key, nowMs)
          else if (what === 'drop') {
            model.drop(key)
            held.delete(key)
          } else {
            const forgotten = model.hold(key, { bytes: 1, source }, nowMs)
            held.add(key)
            if (forgotten !== undefined) held.delete(forgotten)
            expect(forgotten).not.toBe(key)
          }
        }
        expect(held.size).toBeLessThanOrEqual(6)
        expect(model.victims(nowMs).toSorted()).toEqual([...held].toSorted())
      }),
    )
  })

  const modelOf = (strategy: CacheStrategy): CacheModel => {
    const model = new CacheModel({ strategy, scoreOf })
    let nowMs = 0
    const read = (key: string, source: string): void => {
      model.read(key, (nowMs += MINUTE_MS))
      model.hold(key, { bytes: 1, source }, nowMs)
    }
    for (let round = 0; round < 5; round++) read('often', 'good')
    read('bad once', 'bad/peer')
    read('once', 'good')
    for (let round = 0; round < 5; round++) {
      read('bad often', 'bad/peer')
      read('other', 'good')
    }
    return model
  }

  it('lets go of what was read longest ago, of what nobody trusts, or of what is asked for least', () => {
    const atMs = 60 * MINUTE_MS
    expect(modelOf('lru').victims(atMs)[0]).toBe('often')
    expect(modelOf('trust').victims(atMs).slice(0, 2)).toEqual(['bad once', 'bad often'])
    expect(modelOf('predictive').victims(atMs).slice(0, 2).toSorted()).toEqual(['bad once', 'once'])
  })

  it('keeps for memory what is read again, and with lru everything', () => {
    const atMs = 60 * MINUTE_MS
    for (const strategy of ['trust', 'predictive'] as const) {
      expect(modelOf(strategy).isHot('often', atMs)).toBe(true)
      expect(modelOf(strategy).isHot('once', atMs)).toBe(false)
      expect(modelOf(strategy).isHot('often', atMs + 10 * HALF_LIFE_MS)).toBe(false)
    }
    expect(modelOf('lru').isHot('never', atMs)).toBe(true)
  })
})

describe('on the trace', () => {
  it('each strategy does what it is for', () => {
    // A part of it is enough to tell them apart.
    const trace = seededTrace().slice(0, 18_000)
    const play = (strategy: CacheStrategy, prefetchBytesPerSecond = 0) =>
      replay(trace, { strategy, capacityBytes: 128 * 2 ** 20, prefetchBytesPerSecond })
    const [lru, trust, predictive, ahead] = [
      play('lru'),
      play('trust'),
      play('predictive'),
      play('predictive', 2 ** 19),
    ]
    expect(trust.hits).toBeGreaterThan(lru.hits)
    expect(predictive.hits).toBeGreaterThan(trust.hits)
    expect(ahead.hits).toBeGreaterThan(1.2 * lru.hits)
    // What is fetched ahead is read: it costs next to nothing.
    expect(ahead.usefulPrefetches).toBeGreaterThan(0.9 * ahead.prefetches)
  })
})

describe('what is fetched ahead', () => {
  it('keeps to its budget, and is twice at once at most', async () => {
    const clock = { nowMs: 0 }
    const begun: string[] = []
    const ends: (() => void)[] = []
    const prefetcher = new Prefetcher({
      bytesPerSecond: 64 * 1024,
      fetch: async (key) => {
        begun.push(key)
        await new Promise<void>((resolve) => ends.push(resolve))
        return 1
      },
      onPrefetched: () => {},
      now: () => clock.nowMs,
    })
    const minute = 60 * 64 * 1024
    prefetcher.want('too large', 2 * minute)
    prefetcher.want('a', minute / 2)
    prefetcher.want('a', minute / 4)
    prefetcher.want('b', minute / 4)
    prefetcher.want('third at once', 1)
    expect(begun).toEqual(['a', 'b'])
    for (const end of ends.splice(0)) end()
    await new Promise((resolve) => setImmediate(resolve))
    prefetcher.want('over the budget', minute / 2)
    expect(begun).toHaveLength(2)
    clock.nowMs += 60_000
    prefetcher.want('c', minute / 2)
    expect(begun).toEqual(['a', 'b', 'c'])
    const stopped = prefetcher.stop()
    for (const end of ends.splice(0)) end()
    await stopped
    prefetcher.want('after the end', 1)
    expect(begun).toHaveLength(3)
  })
})
