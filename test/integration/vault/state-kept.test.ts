import { randomBytes } from 'node:crypto'
import { afterEach, expect, it } from 'vitest'
import type { Chunk } from '../../../protocols/chunk/index.ts'
import { eventually } from '../../support/network.ts'
import { startHolders, startVaultNode, stopVaultNodes, type VaultNode } from '../../support/vault-node.ts'

const nodes: VaultNode[] = []
afterEach(async () => {
  await stopVaultNodes(nodes)
  nodes.length = 0
})

it('what changes while a version of the state is on its way is in the next one', async () => {
  const release = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  let isGateClosed = false
  const gate = (chunk: Chunk): Chunk =>
    new Proxy(chunk, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown
        if (name !== 'store') return typeof value === 'function' ? value.bind(target) : value
        return async (...args: Parameters<Chunk['store']>) => {
          if (isGateClosed) {
            isGateClosed = false
            held.resolve()
            await release.promise
          }
          return await target.store(...args)
        }
      },
    })
  const owner = await startVaultNode({ offerBytes: 0, chunk: gate })
  nodes.push(owner)
  const holders = await startHolders(2, owner)
  nodes.push(...holders)
  await owner.put(randomBytes(1_000), { redundancy: 'copies:2', name: 'first' })
  isGateClosed = true
  await held.promise
  await owner.put(randomBytes(1_000), { redundancy: 'copies:2', name: 'second' })
  release.resolve()

  const laptop = await startVaultNode({ offerBytes: 0 })
  nodes.push(laptop)
  for (const holder of holders) await laptop.connect(holder)
  const phrase = await owner.service.recoveryPhrase()
  const columns = () => holders.reduce((sum, holder) => sum + holder.columns.usage().columns, 0)
  // Two objects of two slabs each, and two versions of the state.
  await eventually('the second version is kept', () => columns() === 12, 30_000)
  const recovered = await laptop.service.recover(phrase, AbortSignal.timeout(60_000))
  expect(recovered).toEqual({ objects: 2, version: 2 })
}, 120_000)

it('what changed just before a stop is in the next version, though nothing changes any more', async () => {
  const owner = await startVaultNode({ offerBytes: 0 })
  nodes.push(owner)
  const holders = await startHolders(2, owner)
  nodes.push(...holders)
  await owner.put(randomBytes(1_000), { redundancy: 'copies:2', name: 'last' })
  const phrase = await owner.service.recoveryPhrase()
  // Before the changes of some seconds are gathered.
  await owner.stop({ keepHome: true })
  const columns = () => holders.reduce((sum, holder) => sum + holder.columns.usage().columns, 0)
  expect(columns()).toBe(4)

  const again = await startVaultNode({ offerBytes: 0, home: owner.home })
  nodes.push(again)
  for (const holder of holders) await again.connect(holder)
  await eventually('a version is kept', () => columns() === 6, 30_000)
  const laptop = await startVaultNode({ offerBytes: 0 })
  nodes.push(laptop)
  for (const holder of holders) await laptop.connect(holder)
  const recovered = await laptop.service.recover(phrase, AbortSignal.timeout(60_000))
  expect(recovered).toEqual({ objects: 1, version: 1 })
}, 120_000)
