import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteRate } from '../../../../src/vault/restore/byte-rate.ts'
import {
  AUDITORS_PER_COLUMN,
  auditorsOf,
  pointsOf,
  rankOf,
  rendezvousOrder,
  repairDelayMs,
  repairThreshold,
} from '../../../../src/vault/restore/rules.ts'
import { claimTtlMs } from '../../../../src/vault/restore/slab-repair.ts'

const slab = fc.uint8Array({ minLength: 32, maxLength: 32 })
const peers = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 40 })
const redundancy = fc
  .tuple(fc.integer({ min: 1, max: 63 }), fc.integer({ min: 1, max: 64 }))
  .filter(([k, n]) => (k === 1 ? n >= 1 : k < n))
  .map(([k, n]) => ({ k, n }))

describe('the threshold of repair', () => {
  it('is min(n − 1, k + ⌈(n − k) / 2⌉)', () => {
    expect(repairThreshold({ k: 4, n: 8 })).toBe(6)
    expect(repairThreshold({ k: 20, n: 40 })).toBe(30)
    expect(repairThreshold({ k: 1, n: 5 })).toBe(3)
    expect(repairThreshold({ k: 1, n: 2 })).toBe(1)
    expect(repairThreshold({ k: 1, n: 1 })).toBe(0)
  })

  it('never asks to repair what is whole, and asks before the last that may be lost', () => {
    fc.assert(
      fc.property(redundancy, ({ k, n }) => {
        const threshold = repairThreshold({ k, n })
        expect(threshold).toBeLessThan(n)
        if (n > k) expect(threshold).toBeGreaterThanOrEqual(k)
      }),
    )
  })
})

describe('the order of holders', () => {
  it('is one order for everybody, whatever order they are known in', () => {
    fc.assert(
      fc.property(slab, peers, (id, names) => {
        const order = rendezvousOrder(id, names)
        expect(rendezvousOrder(id, [...names].reverse())).toEqual(order)
        expect([...order].sort()).toEqual([...names].sort())
        for (const [rank, name] of order.entries()) expect(rankOf(id, name, names)).toBe(rank)
      }),
    )
  })

  it('keeps ranks apart by more than the jitter', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 63 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (rank, random) => {
          const waitMs = repairDelayMs(1_000, rank, random)
          expect(waitMs).toBeGreaterThanOrEqual(1_000 * (1 + rank / 2))
          expect(waitMs).toBeLessThan(repairDelayMs(1_000, rank + 1, 0))
        },
      ),
    )
  })
})

describe('auditors', () => {
  it('are two of those that do not hold the column', () => {
    fc.assert(
      fc.property(slab, peers, fc.integer({ min: 0, max: 63 }), (id, names, column) => {
        const holders = new Set(names.slice(0, 1))
        const auditors = auditorsOf(column, pointsOf(id, names), holders)
        expect(auditors).toHaveLength(Math.min(AUDITORS_PER_COLUMN, names.length - 1))
        expect(new Set(auditors).size).toBe(auditors.length)
        for (const auditor of auditors) expect(holders.has(auditor)).toBe(false)
      }),
    )
  })

  it('stay where they are when somebody else goes', () => {
    fc.assert(
      fc.property(slab, peers, fc.integer({ min: 0, max: 63 }), fc.nat(), (id, names, column, nth) => {
        const all = auditorsOf(column, pointsOf(id, names), new Set())
        const gone = names[nth % names.length] ?? ''
        const left = auditorsOf(
          column,
          pointsOf(
            id,
            names.filter((name) => name !== gone),
          ),
          new Set(),
        )
        for (const auditor of all) {
          if (auditor !== gone) expect(left).toContain(auditor)
        }
      }),
    )
  })

  it('share the work evenly', () => {
    const names = Array.from({ length: 8 }, (_, number) => `peer-${number}`)
    const load = new Map(names.map((name) => [name, 0]))
    for (let slabs = 0; slabs < 400; slabs++) {
      const points = pointsOf(randomBytes(32), names)
      for (const [column, holder] of names.entries()) {
        for (const auditor of auditorsOf(column, points, new Set([holder]))) {
          load.set(auditor, (load.get(auditor) ?? 0) + 1)
        }
      }
    }
    // 800 each on average.
    for (const count of load.values()) {
      expect(count).toBeGreaterThan(600)
      expect(count).toBeLessThan(1_000)
    }
  })
})

describe('rates and times', () => {
  it('a shared rate gives no more than the burst and the rate, whatever comes when', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ afterMs: fc.integer({ min: 0, max: 500 }), bytes: fc.integer({ min: 0, max: 5_000 }) }),
          {
            maxLength: 100,
          },
        ),
        (steps) => {
          let nowMs = 0
          let before = 0
          const rate = new ByteRate(() => nowMs)
          for (const { afterMs, bytes } of steps) {
            nowMs += afterMs
            const startsAtMs = nowMs + rate.reserve(bytes, 10_000)
            // What moved before this one had time to.
            expect(before).toBeLessThanOrEqual((startsAtMs / 1_000) * 10_000 + 1_000 + 1e-6)
            before += bytes
          }
        },
      ),
    )
  })

  it('waits no more once the signal has aborted', async () => {
    const rate = new ByteRate()
    rate.reserve(1_000_000, 1)
    const signal = AbortSignal.timeout(20)
    await expect(rate.take(1, 1, signal)).rejects.toThrow()
  })

  it('a claim outlives its work and ends', () => {
    expect(claimTtlMs(64 * 1024 * 1024)).toBe(10_000)
    expect(claimTtlMs(100 * 2 ** 20, 10 * 2 ** 20)).toBe(30_000)
    expect(claimTtlMs(2 ** 40, 4_096)).toBe(600_000)
  })
})
