import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ClaimTable } from '../../../../src/vault/holder/claims.ts'
import { MAX_CLAIM_MS, MAX_CLAIMS, MAX_CLAIMS_PER_PEER } from '../../../../src/vault/holder/limits.ts'

describe('claims', () => {
  it('are refused to a second, granted again to the first, and end', () => {
    let nowMs = 0
    const claims = new ClaimTable(() => nowMs)
    const slab = randomBytes(32)
    expect(claims.claim(slab, 3, 1_000, 'a')).toBe(true)
    expect(claims.claim(slab, 3, 1_000, 'b')).toBe(false)
    expect(claims.claim(slab, 4, 1_000, 'b')).toBe(true)
    nowMs = 900
    expect(claims.claim(slab, 3, 1_000, 'a')).toBe(true)
    nowMs = 1_500
    expect(claims.claim(slab, 3, 1_000, 'b')).toBe(false)
    nowMs = 1_901
    expect(claims.claim(slab, 3, 1_000, 'b')).toBe(true)
  })

  it('last no longer than the bound, and nonsense is refused', () => {
    let nowMs = 0
    const claims = new ClaimTable(() => nowMs)
    const slab = randomBytes(32)
    for (const ttlMs of [0, -1, Number.NaN]) expect(claims.claim(slab, 0, ttlMs, 'a')).toBe(false)
    expect(claims.claim(slab, 0, Number.POSITIVE_INFINITY, 'a')).toBe(true)
    nowMs = MAX_CLAIM_MS + 1
    expect(claims.claim(slab, 0, 1, 'b')).toBe(true)
  })

  it('are bounded for each peer and in all; those that have ended make room', () => {
    let nowMs = 0
    const claims = new ClaimTable(() => nowMs)
    const slab = randomBytes(32)
    let granted = 0
    for (let column = 0; column < 2 * MAX_CLAIMS_PER_PEER; column++) {
      granted += claims.claim(slab, column, 1_000, 'greedy') ? 1 : 0
    }
    expect(granted).toBe(MAX_CLAIMS_PER_PEER)
    expect(claims.claim(slab, 5_000, 1_000, 'other')).toBe(true)
    for (let peer = 0; peer < MAX_CLAIMS; peer++) claims.claim(randomBytes(32), 0, 1_000, `peer-${peer}`)
    expect(claims.size).toBeLessThanOrEqual(MAX_CLAIMS)
    expect(claims.claim(randomBytes(32), 0, 1_000, 'late')).toBe(false)
    nowMs = 1_001
    expect(claims.claim(randomBytes(32), 0, 1_000, 'late')).toBe(true)
    expect(claims.size).toBe(1)
  })

  it('never belong to two at once', () => {
    const step = fc.record({
      peer: fc.constantFrom('a', 'b', 'c'),
      column: fc.integer({ min: 0, max: 2 }),
      ttlMs: fc.integer({ min: 1, max: 100 }),
      afterMs: fc.integer({ min: 0, max: 60 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        let nowMs = 0
        const claims = new ClaimTable(() => nowMs)
        const slab = new Uint8Array(32)
        const owners = new Map<number, { peer: string; untilMs: number }>()
        for (const { peer, column, ttlMs, afterMs } of steps) {
          nowMs += afterMs
          const owner = owners.get(column)
          const isFree = owner === undefined || owner.untilMs <= nowMs || owner.peer === peer
          expect(claims.claim(slab, column, ttlMs, peer)).toBe(isFree)
          if (isFree) owners.set(column, { peer, untilMs: nowMs + ttlMs })
        }
      }),
    )
  })
})
