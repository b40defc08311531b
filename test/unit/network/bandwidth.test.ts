import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { BandwidthProtocol, Flow } from '../../../protocols/shared/bandwidth.ts'
import { createBandwidth } from '../../../src/network/bandwidth/index.ts'
import { bandwidthLimits as limits, free } from '../../support/bandwidth.ts'

const KIB = 1024
const never = new AbortController().signal
function flow(
  peer: string,
  direction: Flow['direction'] = 'out',
  protocol: BandwidthProtocol = 'content',
): Flow {
  return { peer, direction, protocol }
}

type Limiter = ReturnType<typeof createBandwidth>

/** Moves as much as it is let, until it is ended; `moved` counts. */
function greedy(limiter: Limiter, of: Flow): { moved: number; end: () => void } {
  const stop = new AbortController()
  const state = { moved: 0, end: () => stop.abort(new Error('enough')) }
  void (async () => {
    while (!stop.signal.aborted) {
      const bytes = Math.min(256 * KIB, limiter.sliceBytes(of))
      await limiter.take(of, bytes, stop.signal)
      state.moved += bytes
    }
  })().catch(() => {})
  return state
}

beforeEach(() => {
  vi.useFakeTimers({ now: new Date(2026, 10, 26, 12, 0, 0) })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('bandwidth', () => {
  it('costs an unlimited node no wait, and is counted all the same', () => {
    const limiter = createBandwidth({ limits: limits() })
    expect(limiter.sliceBytes(flow('a'))).toBe(Infinity)
    for (let turn = 0; turn < 1_000; turn++) {
      expect(limiter.take(flow('a'), 1024 * KIB, never)).toBeUndefined()
    }
    expect(limiter.statistics()).toEqual([
      { direction: 'out', protocol: 'content', bytes: 1_000 * 1024 * KIB, waits: 0, waitedMs: 0 },
    ])
  })

  it.each([8 * KIB, 1024 * KIB, 100 * 1024 * KIB])('is within a tenth of a cap of %i B/s', async (rate) => {
    const limiter = createBandwidth({ limits: limits({ global: { ...free, outBytesPerSecond: rate } }) })
    const one = greedy(limiter, flow('a'))
    await vi.advanceTimersByTimeAsync(4_000)
    expect(one.moved).toBeGreaterThan(4 * rate * 0.9)
    expect(one.moved).toBeLessThan(4 * rate * 1.1)
    // The burst at the beginning is all that there is above the cap.
    const before = one.moved
    await vi.advanceTimersByTimeAsync(10_000)
    expect((one.moved - before) / (10 * rate)).toBeCloseTo(1, 1)
    one.end()
  })

  it('is the same for peers, whatever number of streams each has', async () => {
    const rate = 1024 * KIB
    const limiter = createBandwidth({ limits: limits({ global: { ...free, outBytesPerSecond: rate } }) })
    const many = Array.from({ length: 20 }, () => greedy(limiter, flow('many')))
    const one = greedy(limiter, flow('one'))
    await vi.advanceTimersByTimeAsync(10_000)
    const manyBytes = many.reduce((sum, { moved }) => sum + moved, 0)
    expect(one.moved / manyBytes).toBeGreaterThan(0.9)
    expect(one.moved / manyBytes).toBeLessThan(1.1)
    for (const { end } of [...many, one]) end()
  })

  it('gives a peer that comes late its share from then on, and nothing for the time before', async () => {
    const rate = 1024 * KIB
    const limiter = createBandwidth({ limits: limits({ global: { ...free, outBytesPerSecond: rate } }) })
    const early = greedy(limiter, flow('early'))
    await vi.advanceTimersByTimeAsync(30_000)
    const before = early.moved
    const late = greedy(limiter, flow('late'))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(late.moved / (early.moved - before)).toBeGreaterThan(0.9)
    expect(late.moved / (early.moved - before)).toBeLessThan(1.1)
    early.end()
    late.end()
  })

  it('of one direction takes nothing from the other', async () => {
    const rate = 1024 * KIB
    const limiter = createBandwidth({
      limits: limits({ global: { inBytesPerSecond: rate, outBytesPerSecond: rate } }),
    })
    const out = Array.from({ length: 8 }, (_, index) => greedy(limiter, flow(`peer ${index}`)))
    const incoming = greedy(limiter, flow('peer 0', 'in'))
    await vi.advanceTimersByTimeAsync(4_000)
    expect(incoming.moved).toBeGreaterThan(4 * rate * 0.9)
    for (const { end } of [...out, incoming]) end()
  })

  it('of one peer or one protocol keeps no other waiting', async () => {
    const limiter = createBandwidth({
      limits: limits({
        global: { ...free, outBytesPerSecond: 1024 * KIB },
        perPeer: { ...free, outBytesPerSecond: 512 * KIB },
        protocols: { ...limits().protocols, bitswap: { ...free, outBytesPerSecond: 64 * KIB } },
      }),
    })
    const content = greedy(limiter, flow('a'))
    const bitswap = greedy(limiter, flow('a', 'out', 'bitswap'))
    const other = greedy(limiter, flow('b'))
    await vi.advanceTimersByTimeAsync(10_000)
    expect(bitswap.moved / (640 * KIB)).toBeCloseTo(1, 0.5)
    expect((content.moved + bitswap.moved) / (5_120 * KIB)).toBeGreaterThan(0.9)
    expect((content.moved + bitswap.moved) / (5_120 * KIB)).toBeLessThan(1.1)
    expect(other.moved / (5_120 * KIB)).toBeGreaterThan(0.9)
    expect(other.moved / (5_120 * KIB)).toBeLessThan(1.1)
    for (const { end } of [content, bitswap, other]) end()
  })

  it('lets a small frame through within a turn of everybody', async () => {
    const limiter = createBandwidth({ limits: limits({ global: { ...free, outBytesPerSecond: 64 * KIB } }) })
    const others = Array.from({ length: 30 }, (_, index) => greedy(limiter, flow(`peer ${index}`)))
    await vi.advanceTimersByTimeAsync(5_000)
    let isThrough = false
    void limiter.take(flow('small'), 100, never)?.then(() => (isThrough = true))
    await vi.advanceTimersByTimeAsync(1_000)
    expect(isThrough).toBe(true)
    for (const { end } of others) end()
  })

  it('is not taken by who gives up, and leaves nothing waiting', async () => {
    const limiter = createBandwidth({ limits: limits({ global: { ...free, outBytesPerSecond: 8 * KIB } }) })
    expect(limiter.take(flow('a'), 8 * KIB, never)).toBeUndefined()
    const stop = new AbortController()
    const waiting = limiter.take(flow('a'), 8 * KIB, stop.signal)
    expect(limiter.waiting()).toEqual({ in: 0, out: 1 })
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    expect(limiter.waiting()).toEqual({ in: 0, out: 0 })
    await vi.advanceTimersByTimeAsync(1_000)
    expect(limiter.take(flow('a'), 100, never)).toBeUndefined()
    expect(limiter.statistics()[0]).toMatchObject({ bytes: 8 * KIB + 100 })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('follows the schedule, over midnight too, and a clock that jumps', async () => {
    const schedule = ['08:00-18:00 out=64KiB/s', '22:00-06:00 out=unlimited in=32KiB/s']
    const limiter = createBandwidth({
      limits: limits({ global: { ...free, outBytesPerSecond: 512 * KIB }, schedule }),
    })
    const rateAt = (hours: number, minutes: number, direction: Flow['direction']): number => {
      vi.setSystemTime(new Date(2026, 10, 26, hours, minutes))
      return limiter.sliceBytes(flow('a', direction)) * 20
    }
    expect(rateAt(8, 0, 'out')).toBeCloseTo(64 * KIB, -2)
    expect(rateAt(17, 59, 'out')).toBeCloseTo(64 * KIB, -2)
    expect(rateAt(18, 0, 'out')).toBeCloseTo(512 * KIB, -2)
    expect(rateAt(23, 30, 'out')).toBe(Infinity)
    expect(rateAt(23, 30, 'in')).toBeCloseTo(32 * KIB, -2)
    expect(rateAt(5, 59, 'in')).toBeCloseTo(32 * KIB, -2)
    expect(rateAt(6, 0, 'in')).toBe(Infinity)
    // Who waits already goes on at the new rate.
    vi.setSystemTime(new Date(2026, 10, 26, 17, 59, 50))
    const one = greedy(limiter, flow('a'))
    await vi.advanceTimersByTimeAsync(10_000)
    const before = one.moved
    await vi.advanceTimersByTimeAsync(10_000)
    expect((one.moved - before) / (5_120 * KIB)).toBeGreaterThan(0.85)
    one.end()
  })

  it('remembers a bounded number of peers', () => {
    const limiter = createBandwidth({
      limits: limits({ perPeer: { ...free, outBytesPerSecond: 1024 * KIB } }),
    })
    for (let peer = 0; peer < 5_000; peer++) void limiter.take(flow(`peer ${peer}`), 100, never)
    expect(limiter.remembered().out).toBeLessThanOrEqual(1_024)
  })
})
