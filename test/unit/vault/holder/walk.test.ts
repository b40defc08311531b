import { randomBytes } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { SlabId } from '../../../../protocols/chunk/types.ts'
import type { ColumnRow } from '../../../../src/storage/columns/types.ts'
import { isTimeToMeasure } from '../../../../src/vault/holder/audits.ts'
import { Walk, type WalkOptions } from '../../../../src/vault/holder/walk.ts'
import { eventually, quietLogger } from '../../../support/network.ts'
import { temporaryState } from '../../../support/vault-state.ts'

/** Groups with one column each, in order of their ids. */
function groupsOf(count: number): Pick<WalkOptions['columns'], 'groups' | 'ofGroup' | 'usage'> {
  const ids = Array.from({ length: count }, () => randomBytes(32)).sort(Buffer.compare)
  return {
    groups: ({ after, limit }) =>
      ids.filter((id) => after === undefined || Buffer.compare(id, after) > 0).slice(0, limit),
    ofGroup: (group) => [{ slab: group } as ColumnRow],
    usage: () => ({ columns: count }) as ReturnType<WalkOptions['columns']['usage']>,
  }
}

async function walkOver(options: Partial<WalkOptions> & Pick<WalkOptions, 'columns'>): Promise<{
  visits: { group: string; atMs: number }[]
  walk: Walk
}> {
  const visits: { group: string; atMs: number }[] = []
  const walk = new Walk({
    state: await temporaryState(),
    intervalMs: 1_000,
    isSound: () => true,
    visit: async (groups: readonly SlabId[]) => {
      for (const group of groups) {
        visits.push({ group: Buffer.from(group).toString('hex'), atMs: performance.now() })
      }
      return groups.length
    },
    log: quietLogger(),
    ...options,
  })
  onTestFinished(() => walk.stop())
  return { visits, walk }
}

describe('the walk over held columns', () => {
  it('looks at every group once an interval, evenly', async () => {
    const { visits, walk } = await walkOver({ columns: groupsOf(20) })
    const startedMs = performance.now()
    walk.start()
    await eventually('two rounds', () => visits.length >= 40)
    const tookMs = (visits[39]?.atMs ?? 0) - startedMs
    expect(tookMs).toBeGreaterThan(1_200)
    expect(tookMs).toBeLessThan(6_000)
    const first = visits.slice(0, 20).map(({ group }) => group)
    expect(new Set(first).size).toBe(20)
    expect(visits.slice(20, 40).map(({ group }) => group)).toEqual(first)
    // No burst: never more than a quarter of all within a tenth of the interval.
    for (const [at, { atMs }] of visits.entries()) {
      const later = visits.slice(at).filter((visit) => visit.atMs < atMs + 100)
      expect(later.length).toBeLessThanOrEqual(5)
    }
  })

  it('goes on where it was before a restart, and after a look that failed', async () => {
    const state = await temporaryState()
    const columns = groupsOf(10)
    const first = await walkOver({ columns, state })
    first.walk.start()
    await eventually('some looks', () => first.visits.length >= 3)
    await first.walk.stop()
    const seen = first.visits.map(({ group }) => group)
    let failures = 0
    const second = await walkOver({
      columns,
      state,
      visit: async (groups) => {
        for (const group of groups) second.visits.push({ group: Buffer.from(group).toString('hex'), atMs: 0 })
        failures += 1
        throw new Error('a look that fails')
      },
    })
    second.walk.start()
    await eventually('the rest', () => second.visits.length >= 10 - seen.length)
    expect(failures).toBeGreaterThan(1)
    const all = [...seen, ...second.visits.slice(0, 10 - seen.length).map(({ group }) => group)]
    expect(new Set(all).size).toBe(10)
  })

  it('looks at nothing while nothing may be concluded, and stops at once', async () => {
    let isSound = false
    const { visits, walk } = await walkOver({ columns: groupsOf(5), isSound: () => isSound, intervalMs: 200 })
    walk.start()
    await new Promise((resolve) => {
      setTimeout(resolve, 300)
    })
    expect(visits).toEqual([])
    isSound = true
    await eventually('a look', () => visits.length > 0)
    const stoppedMs = performance.now()
    await walk.stop()
    expect(performance.now() - stoppedMs).toBeLessThan(5_000)
  })

  it('takes large steps where there are many columns', async () => {
    const { visits, walk } = await walkOver({ columns: groupsOf(5_000), intervalMs: 2_000 })
    walk.start()
    await eventually('many looks', () => visits.length > 1_000)
    expect((visits[1_000]?.atMs ?? 0) - (visits[0]?.atMs ?? 0)).toBeGreaterThan(200)
  })
})

describe('a column that stays unproven', () => {
  it('lets its slab be measured after two looks, and then less and less often', () => {
    const measured = Array.from({ length: 40 }, (_, misses) => misses).filter(isTimeToMeasure)
    expect(measured).toEqual([2, 3, 4, 6, 10, 18, 26, 34])
  })
})
