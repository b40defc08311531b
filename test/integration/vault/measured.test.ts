import { randomBytes } from 'node:crypto'
import { afterEach, expect, it } from 'vitest'
import { eventually } from '../../support/network.ts'
import { startHolders, startVaultNode, stopVaultNodes, type VaultNode } from '../../support/vault-node.ts'

const nodes: VaultNode[] = []
afterEach(async () => {
  await stopVaultNodes(nodes)
  nodes.length = 0
})

it('ls and doctor say what health has measured, also after a restart', async () => {
  const options = { offerBytes: 0, auditIntervalMs: 600_000 }
  const owner = await startVaultNode(options)
  nodes.push(owner)
  const holders = await startHolders(2, owner, { auditIntervalMs: 600_000 })
  nodes.push(...holders)
  const { link } = await owner.put(randomBytes(1_000), { redundancy: 'copies:2' })
  expect(await owner.service.list()).toMatchObject([{ health: 'unknown', healthAtMs: null }])
  const signal = AbortSignal.timeout(60_000)
  await owner.service.health(link, { signal })
  expect(await owner.service.list()).toMatchObject([{ health: 'healthy', healthAtMs: expect.any(Number) }])

  await holders[0]?.stop()
  await eventually('it is gone', () => owner.chunk.peers().length === 1)
  const verify = await owner.service.share(link, 'verify')
  expect(await owner.service.health(verify, { signal, fresh: true })).toMatchObject({ state: 'critical' })
  expect(await owner.service.list()).toMatchObject([{ health: 'critical' }])
  expect(owner.service.report().health).toMatchObject({ critical: 1, healthy: 0, unknown: 0 })

  await owner.stop({ keepHome: true })
  const again = await startVaultNode({ ...options, home: owner.home })
  nodes.push(again)
  expect(await again.service.list()).toMatchObject([{ health: 'critical', healthAtMs: expect.any(Number) }])
}, 60_000)
