import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { Cohort } from '../../../../src/vault/holder/cohort.ts'
import { MAX_CO_HOLDERS } from '../../../../src/vault/holder/limits.ts'
import { temporaryState } from '../../../support/vault-state.ts'

describe('co-holders', () => {
  it('are remembered by group, who answered last first, and forgotten with it', async () => {
    let nowMs = 1_000_000
    const cohort = new Cohort(await temporaryState(), () => nowMs)
    const [group, other] = [randomBytes(32), randomBytes(32)]
    cohort.told(group, ['a', 'b', 'c'])
    cohort.told(other, ['z'])
    cohort.answered(group, ['c'])
    nowMs += 7_200_000
    cohort.answered(group, ['b', 'new'])
    const peers = cohort.peers(group)
    expect(new Set(peers.slice(0, 2))).toEqual(new Set(['b', 'new']))
    expect(peers.slice(2)).toEqual(['c', 'a'])
    cohort.forget(group)
    expect(cohort.peers(group)).toEqual([])
    expect(cohort.peers(other)).toEqual(['z'])
  })

  it('are bounded, and rumours never push out those that answered', async () => {
    const cohort = new Cohort(await temporaryState(), () => 1_000_000)
    const group = randomBytes(32)
    cohort.answered(group, ['true-1', 'true-2'])
    for (let round = 0; round < 20; round++) {
      cohort.told(
        group,
        Array.from({ length: 50 }, (_, number) => `rumour-${round}-${number}`),
      )
    }
    const peers = cohort.peers(group)
    expect(peers.length).toBeLessThanOrEqual(MAX_CO_HOLDERS)
    expect(peers.slice(0, 2).sort()).toEqual(['true-1', 'true-2'])
    expect(peers).toContain('rumour-19-0')
  })

  it('that are silent for 30 days are let go', async () => {
    let nowMs = 1_000_000
    const cohort = new Cohort(await temporaryState(), () => nowMs)
    const group = randomBytes(32)
    cohort.told(group, ['a'])
    nowMs += 20 * 86_400_000
    cohort.told(group, ['b'])
    nowMs += 15 * 86_400_000
    cohort.forgetSilent(group)
    expect(cohort.peers(group)).toEqual(['b'])
  })

  it('count misses in a row, and write nothing while all is well', async () => {
    const state = await temporaryState()
    const cohort = new Cohort(state, () => 0)
    const slab = randomBytes(32)
    const rows = (): unknown => state.db.prepare('SELECT count(*) FROM column_doubt').pluck().get()
    expect(cohort.note([{ slab, column: 1, proven: true }])).toEqual([])
    expect(rows()).toBe(0)
    const miss = { slab, column: 1, proven: false }
    expect(cohort.note([miss]).map(({ misses }) => misses)).toEqual([1])
    expect(cohort.doubtfulColumns()).toBe(0)
    expect(cohort.note([miss]).map(({ misses }) => misses)).toEqual([2])
    expect(cohort.doubtfulColumns()).toBe(1)
    expect(cohort.note([{ slab, column: 1, proven: true }])).toEqual([])
    expect(rows()).toBe(0)
    expect(cohort.note([miss]).map(({ misses }) => misses)).toEqual([1])
    cohort.forgetSlab(slab)
    expect(rows()).toBe(0)
  })
})
