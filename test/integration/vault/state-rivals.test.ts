import { randomBytes } from 'node:crypto'
import { afterEach, expect, it } from 'vitest'
import type { Chunk } from '../../../protocols/chunk/index.ts'
import { findVersions } from '../../../src/vault/owner/state-versions.ts'
import { ownerSecretOf } from '../../../src/vault/codec/index.ts'
import { eventually } from '../../support/network.ts'
import { startHolders, startVaultNode, stopVaultNodes, type VaultNode } from '../../support/vault-node.ts'

const nodes: VaultNode[] = []
afterEach(async () => {
  await stopVaultNodes(nodes)
  nodes.length = 0
})

/** Holds the next store back until it is let go. */
function gated(): { chunk: (chunk: Chunk) => Chunk; close(): { held: Promise<void>; open(): void } } {
  let gate: { held: PromiseWithResolvers<void>; opened: PromiseWithResolvers<void> } | undefined
  return {
    chunk: (chunk) =>
      new Proxy(chunk, {
        get(target, name) {
          const value = Reflect.get(target, name) as unknown
          if (name !== 'store') return typeof value === 'function' ? value.bind(target) : value
          return async (...args: Parameters<Chunk['store']>) => {
            gate?.held.resolve()
            await gate?.opened.promise
            return await target.store(...args)
          }
        },
      }),
    close() {
      const closed = { held: Promise.withResolvers<void>(), opened: Promise.withResolvers<void>() }
      gate = closed
      return {
        held: closed.held.promise,
        open() {
          gate = undefined
          closed.opened.resolve()
        },
      }
    },
  }
}

it('two machines of one owner that make the same version at once both end up in the next one', async () => {
  const gate = gated()
  const laptop = await startVaultNode({ offerBytes: 0, chunk: gate.chunk })
  nodes.push(laptop)
  const holders = await startHolders(2, laptop)
  nodes.push(...holders)
  const desktop = await startVaultNode({ offerBytes: 0 })
  nodes.push(desktop)
  const put = (node: VaultNode, name: string) =>
    node.put(randomBytes(1_000), { redundancy: 'copies:2', name })
  await put(laptop, 'first')
  const phrase = await laptop.service.recoveryPhrase()
  const secret = ownerSecretOf(phrase)
  const versions = async (from: number) => {
    const reader = {
      chunk: desktop.chunk,
      manifestCodec: { openLayer: () => Promise.reject(new Error('unused')) },
    }
    const within = { from, count: 8, ahead: 0 }
    return (await findVersions(reader, secret, AbortSignal.timeout(20_000), within)).map(
      ({ version }) => version,
    )
  }
  for (const holder of holders) await desktop.connect(holder)
  await eventually('the first version is kept', async () => (await versions(1)).length === 1, 30_000)
  const found = await desktop.service.recover(phrase, AbortSignal.timeout(60_000))
  expect(found).toEqual({ objects: 1, version: 1 })
  await eventually('the desktop has made a version', async () => (await versions(2)).length === 1, 30_000)

  // The laptop's next version is on its way while the desktop makes one of the same number.
  await put(laptop, 'of the laptop')
  const { held, open } = gate.close()
  await held
  await put(desktop, 'of the desktop')
  await eventually('so has the desktop', async () => (await versions(3)).length === 1, 30_000)
  open()

  const names = async (node: VaultNode) => (await node.service.list()).map(({ name }) => name).toSorted()
  const all = ['first', 'of the desktop', 'of the laptop']
  await eventually('the laptop knows all', async () => (await names(laptop)).length === 3, 60_000)
  await eventually('it has made a version of all', async () => (await versions(4)).length === 1, 30_000)
  const newcomer = await startVaultNode({ offerBytes: 0 })
  nodes.push(newcomer)
  for (const holder of holders) await newcomer.connect(holder)
  const recovered = await newcomer.service.recover(phrase, AbortSignal.timeout(60_000))
  expect(recovered).toEqual({ objects: 3, version: 4 })
  expect(await names(newcomer)).toEqual(all)
}, 180_000)
