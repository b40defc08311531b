import { describe, expect, it } from 'vitest'
import type { ColumnRow } from '../../../../src/storage/columns/types.ts'
import { pruneJob } from '../../../../src/vault/holder/prune-job.ts'
import type { JobContext } from '../../../../src/jobs/types.ts'
import type { PruneParams } from '../../../../src/vault/types.ts'

const DAY_MS = 86_400_000

function row(name: number, untilMs: number): ColumnRow {
  return {
    slab: new Uint8Array(32).fill(name),
    column: 0,
    columnBytes: 10,
    storedAtMs: 0,
    untilMs,
  } as ColumnRow
}

/** Prunes columns that know no more than when their leases end; those of `buried` are deleted. */
async function prune(
  rows: readonly ColumnRow[],
  clocks: { nowMs: number; awakeMs: number },
  buried: readonly ColumnRow[] = [],
) {
  const removed: ColumnRow[] = []
  const job = pruneJob({
    columns: {
      list: ({ after }) => (after === undefined ? [...rows] : []),
      isBuried: (slab) => buried.some((other) => other.slab === slab),
      async remove(slab) {
        removed.push(...rows.filter((held) => held.slab === slab))
        return true
      },
      sweep: async () => ({ orphans: 0, bytes: 0 }),
    },
    nowMs: () => clocks.nowMs,
    awakeMs: () => clocks.awakeMs,
    onRemoved: () => {},
    pruneOwned: async () => ({ abandonedSlabs: 0, bytes: 0 }),
  })
  const context = { params: { dryRun: false }, signal: new AbortController().signal, progress: () => {} }
  const { held } = await job.run(context as unknown as JobContext<PruneParams>)
  return { held, removed }
}

describe('prune at a holder', () => {
  it('removes what ended a day ago, and what was deleted at once', async () => {
    const [ended, justEnded, deleted] = [row(1, 90 * DAY_MS), row(2, 91 * DAY_MS), row(3, 200 * DAY_MS)]
    const clocks = { nowMs: 91 * DAY_MS + 1, awakeMs: 30 * DAY_MS }
    const { held, removed } = await prune([ended, justEnded, deleted], clocks, [deleted])
    expect(removed).toEqual([ended, deleted])
    expect(held).toMatchObject({ expired: 1, tombstoned: 1, bytes: 20 })
  })

  it('keeps everything that a clock says to have ended which may yet be put right', async () => {
    const { held, removed } = await prune([row(1, 90 * DAY_MS)], { nowMs: 400 * DAY_MS, awakeMs: 60_000 })
    expect(removed).toEqual([])
    expect(held).toMatchObject({ expired: 0, bytes: 0 })
  })
})
