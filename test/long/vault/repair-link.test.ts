import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { RepairResult } from '../../../src/vault/types.ts'
import { eventually } from '../../support/network.ts'
import {
  collect,
  startHolders,
  startVaultNode,
  stopVaultNodes,
  type VaultNode,
} from '../../support/vault-node.ts'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 })
const WAIT_MS = 60_000

const running: VaultNode[] = []
afterEach(() => stopVaultNodes(running.splice(0)))

describe('repair of a link', () => {
  it('makes the missing columns again with the verify key alone, on a node that holds nothing', async () => {
    const owner = await startVaultNode({ offerBytes: 0 })
    const holders = await startHolders(6, owner)
    const stranger = await startVaultNode({ offerBytes: 0 })
    running.push(owner, stranger, ...holders)
    const bytes = randomBytes(1_500_000)
    const { link } = await owner.put(bytes, { redundancy: 'rs:2/4' })
    const verify = await owner.service.share(link, 'verify')
    for (const holder of holders) await stranger.connect(holder)
    // Two of the four lose what they had: the manifest's copy and the slab's column.
    const losers = holders.filter(({ columns }) => columns.usage().columns > 0).slice(0, 2)
    for (const { columns } of losers) {
      for (const { slab } of columns.list({ limit: 10 })) await columns.remove(slab)
    }
    const signal = AbortSignal.timeout(WAIT_MS)
    const before = await stranger.service.health(verify, { signal, fresh: true })
    expect(before.slabs.map(({ live }) => live)).toEqual([2, 2])
    const result = await stranger.run<RepairResult>('repair', { link: verify })
    expect(result).toEqual({ slabs: 2, repaired: 4, missing: 0 })
    await eventually('healthy again', async () => {
      const health = await stranger.service.health(verify, { signal, fresh: true })
      return health.state === 'healthy'
    })
    const read = await collect(owner.service.cat(link, { signal }))
    expect(read.equals(bytes)).toBe(true)
    // Nothing to do the second time.
    expect(await stranger.run<RepairResult>('repair', { link: verify })).toEqual({
      slabs: 2,
      repaired: 0,
      missing: 0,
    })
  })

  it('says that too few pieces are left', async () => {
    const owner = await startVaultNode({ offerBytes: 0 })
    const holders = await startHolders(3, owner)
    running.push(owner, ...holders)
    const { link } = await owner.put(randomBytes(10_000), { redundancy: 'rs:2/3' })
    // Its manifest stays everywhere, and of the file's slab one column.
    for (const { columns } of holders.slice(0, 2)) {
      for (const row of columns.list({ limit: 10 })) {
        if (row.k === 2) await columns.remove(row.slab)
      }
    }
    await expect(owner.run('repair', { link })).rejects.toMatchObject({
      code: 'ERR_VAULT_PIECES',
      kind: 'not-found',
    })
  })
})
