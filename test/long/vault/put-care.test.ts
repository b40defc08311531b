import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { afterEach, describe, expect, it } from 'vitest'
import type { RmResult } from '../../../src/vault/types.ts'
import { eventually } from '../../support/network.ts'
import { startHolders, startVaultNode, stopVaultNodes, type VaultNode } from '../../support/vault-node.ts'

const nodes: VaultNode[] = []
afterEach(async () => {
  await stopVaultNodes(nodes)
  nodes.length = 0
})

describe('leases', () => {
  it('are renewed while the node runs, and after a restart', async () => {
    const leaseMs = 15_000
    const owner = await startVaultNode({ offerBytes: 0, leaseMs })
    nodes.push(owner)
    const holders = await startHolders(2, owner)
    nodes.push(...holders)
    const { expires } = await owner.put(randomBytes(1000), { redundancy: 'copies:2' })
    const untilOf = ({ columns }: VaultNode) =>
      Math.min(...columns.list({ limit: 10 }).map(({ untilMs }) => untilMs))
    const first = Date.parse(expires)
    await eventually(
      'all hold a newer lease',
      () => holders.every((holder) => untilOf(holder) > first + 500),
      20_000,
    )
    // It notes a renewal once all holders have answered; a report stays as it is for some seconds.
    await eventually(
      'the owner knows of it',
      () => (owner.service.report().soonestExpiryMs ?? 0) > first,
      20_000,
    )

    await owner.stop({ keepHome: true })
    const again = await startVaultNode({ home: owner.home, offerBytes: 0, leaseMs: 120_000 })
    nodes.push(again)
    for (const holder of holders) await again.connect(holder)
    const restarted = Date.now()
    await eventually(
      'all hold a lease of the second run',
      () => holders.every((holder) => untilOf(holder) > restarted + 30_000),
      20_000,
    )
  }, 150_000)
})

describe('rm', () => {
  it('deletes at every holder, and the record ends when the last one has confirmed', async () => {
    const owner = await startVaultNode({ offerBytes: 0 })
    nodes.push(owner)
    const holders = await startHolders(3, owner)
    nodes.push(...holders)
    const { link, manifest } = await owner.put(randomBytes(100_000), { redundancy: 'copies:3' })
    const [away] = holders
    if (away === undefined) throw new Error('no holder')
    await away.stop({ keepHome: true })
    await eventually('it is gone', () => owner.chunk.peers().length === 2)

    const result = await owner.run<RmResult>('rm', { link })
    expect(result).toMatchObject({ slabs: 2, confirmed: 4, pending: 2, pendingPeers: [away.peer] })
    expect(holders.slice(1).map(({ columns }) => columns.usage().columns)).toEqual([0, 0])
    expect(await owner.service.list()).toMatchObject([{ state: 'deleting' }])
    await expect(stat(manifest)).rejects.toMatchObject({ code: 'ENOENT' })

    const back = await startVaultNode({ home: away.home })
    nodes.push(back)
    await owner.connect(back)
    await eventually('it has deleted them', () => back.columns.usage().columns === 0, 30_000)
    await eventually('the record is gone', async () => (await owner.service.list()).length === 0, 30_000)
  }, 90_000)

  it('refuses what this node did not put', async () => {
    const owner = await startVaultNode({ offerBytes: 0 })
    const other = await startVaultNode({ offerBytes: 0 })
    nodes.push(owner, other)
    nodes.push(...(await startHolders(2, owner)))
    const { link } = await owner.put(randomBytes(10), { redundancy: 'copies:2' })
    await expect(other.run('rm', { link })).rejects.toMatchObject({
      code: 'ERR_VAULT_NOT_OWNED',
      kind: 'denied',
    })
  }, 60_000)
})
