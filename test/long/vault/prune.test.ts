import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import type { PruneReport } from '../../../src/vault/types.ts'
import { createWorkerPool } from '../../../src/workers/index.ts'
import { eventually, quietLogger } from '../../support/network.ts'
import { type HolderNode, makeSlab, startNetwork, storeSlab } from '../../support/vault-holders.ts'

const pool = createWorkerPool({ log: quietLogger(), threads: 1 })
afterAll(() => pool.close())

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

const running: HolderNode[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

describe('what is not needed any more', () => {
  it('is shown by a dry run, and removed by prune; what is still leased stays', async () => {
    // By itself it would go at the second look at what has expired, after 40 s.
    const { owner, holders } = await startNetwork(pool, running, 1, () => ({ intervalMs: 20_000 }))
    const [holder] = holders
    if (holder === undefined) throw new Error('nodes')
    const [short, long] = [await makeSlab({ pool, k: 1, n: 1 }), await makeSlab({ pool, k: 1, n: 1 })]
    await storeSlab(owner, short, [holder], { forMs: 8_000 })
    await storeSlab(owner, long, [holder])
    expect(await holder.run<PruneReport>('prune', { dryRun: true })).toMatchObject({
      held: { expired: 0, bytes: 0 },
    })
    await eventually(
      'its lease ended some time ago, on a node that has been awake for as long',
      async () => (await holder.run<PruneReport>('prune', { dryRun: true })).held.expired === 1,
      60_000,
    )
    const found = { expired: 1, tombstoned: 0, orphaned: 0, bytes: short.index.columnBytes }
    const dry = await holder.run<PruneReport>('prune', { dryRun: true })
    expect(dry).toMatchObject({ held: found, dryRun: true })
    expect(holder.columns.get(short.slab)).toBeDefined()
    expect(await holder.run<PruneReport>('prune', { dryRun: false })).toMatchObject({
      held: found,
      dryRun: false,
    })
    expect(holder.columns.get(short.slab)).toBeUndefined()
    expect(holder.columns.get(long.slab)).toBeDefined()
  })

  it('goes by itself some time after its lease, however short', async () => {
    const { owner, holders } = await startNetwork(pool, running, 1)
    const [holder] = holders
    if (holder === undefined) throw new Error('nodes')
    const slab = await makeSlab({ pool, k: 1, n: 1 })
    await storeSlab(owner, slab, [holder], { forMs: 4_000 })
    await eventually('it is gone', () => holder.columns.get(slab.slab) === undefined, 60_000)
    await eventually('counted', () => holder.holder.statistics().columnsExpired === 1)
  })
})
