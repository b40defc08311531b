import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { startHolders, startVaultNode, stopVaultNodes, type VaultNode } from '../../support/vault-node.ts'

const nodes: VaultNode[] = []
afterEach(() => stopVaultNodes(nodes.splice(0)))

it('records of put, repair and rm tell whoever steals the disk no link, no name, no hash', async () => {
  const owner = await startVaultNode({ offerBytes: 0 })
  nodes.push(owner)
  nodes.push(...(await startHolders(3, owner)))
  const bytes = randomBytes(50_000)
  const names = { name: 'letters-to-nobody', fileName: 'letters-to-nobody.txt' }
  const kept = await owner.put(bytes, { redundancy: 'copies:2', ...names })
  const { link } = await owner.put(bytes, { redundancy: 'copies:2', ...names })
  await owner.run('repair', { link })
  await owner.run('rm', { link })
  expect(owner.jobs.list().map(({ kind, state }) => `${kind} ${state}`)).toEqual([
    'rm done',
    'repair done',
    'put done',
    'put done',
  ])
  expect(owner.jobs.list({ kind: 'put' })[1]?.result).toMatchObject({ link: kept.link })
  const hash = createHash('sha256').update(bytes).digest('hex')
  for (const file of ['state.db', 'state.db-wal']) {
    const found = await readFile(join(owner.home, file))
    for (const secret of ['p2pnode:', 'letters-to-nobody', hash, ...[kept.link, link].map(base58Of)])
      expect(found.includes(secret), `${secret} in ${file}`).toBe(false)
  }
}, 120_000)

function base58Of(link: string): string {
  return link.slice('p2pnode:'.length)
}
