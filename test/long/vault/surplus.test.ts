import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { ChunkRefusedError, ChunkStatus } from '../../../protocols/chunk/errors.ts'
import type { ChunkHolder } from '../../../protocols/chunk/types.ts'
import { createWorkerPool } from '../../../src/workers/index.ts'
import { eventually, quietLogger } from '../../support/network.ts'
import {
  connectAll,
  type HolderNode,
  leaseOf,
  makeSlab,
  startHolder,
  startNetwork,
  storeSlab,
  type TestSlab,
} from '../../support/vault-holders.ts'

const pool = createWorkerPool({ log: quietLogger(), threads: 1 })
afterAll(() => pool.close())

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })
const WAIT_MS = 60_000

const running: HolderNode[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

/** Stores nothing: says to hold what the victim holds, as its owner's, and answers challenges with what the victim says. */
function liarAbout(victim: HolderNode, asked: { proofs: number; refused: number }) {
  const { answers } = victim.holder
  return (own: ChunkHolder): ChunkHolder =>
    new Proxy(own, {
      get(target, key) {
        if (key === 'have') {
          return (slabs: Uint8Array[]) =>
            victim.columns.have(slabs).map((held) => ({ ...held, isRebuilt: false }))
        }
        if (key === 'index') return (slab: Uint8Array) => answers.index(slab)
        if (key === 'prove') {
          return async (slab: Uint8Array, segment: number, leaf: number) => {
            asked.proofs += 1
            try {
              return await answers.prove(slab, segment, leaf)
            } catch (error) {
              asked.refused += 1
              throw error
            }
          }
        }
        const value = target[key as keyof ChunkHolder]
        return typeof value === 'function' ? (value as (...args: never[]) => unknown).bind(target) : value
      },
    })
}

/** One holder more, of column 0 of the slab, as a repair stores it. */
async function storeRebuilt(owner: HolderNode, slab: TestSlab, holder: HolderNode): Promise<void> {
  const signal = AbortSignal.timeout(WAIT_MS)
  const stream = await owner.chunk.store(
    holder.libp2p.peerId,
    {
      publicKey: slab.signer.publicKey,
      group: slab.group,
      column: 0,
      k: slab.index.k,
      n: slab.index.n,
      maxColumnBytes: slab.index.columnBytes,
      lease: leaseOf(slab).signed,
      purpose: 'repair',
    },
    signal,
  )
  for (const piece of slab.columns[0] ?? []) await stream.write(piece, signal)
  await stream.finish(slab.index, signal)
}

async function joinLiar(owner: HolderNode, slab: TestSlab, victim: HolderNode, others: HolderNode[]) {
  const asked = { proofs: 0, refused: 0 }
  const liar = await startHolder({ pool, intervalMs: 3_600_000, wrap: liarAbout(victim, asked) })
  running.push(liar)
  await connectAll([liar, victim, ...others])
  const signal = AbortSignal.timeout(WAIT_MS)
  await owner.chunk.hint(victim.libp2p.peerId, { group: slab.group, peers: [liar.name] }, signal)
  return { liar, asked }
}

/** So many looks more at what the node holds. */
async function looks(node: HolderNode, count: number): Promise<void> {
  const until = node.holder.statistics().visits + count
  await eventually('it looks on', () => node.holder.statistics().visits >= until, WAIT_MS)
}

const short = { intervalMs: 300, graceMs: 600 }

describe('a stranger that says to hold a column and proves it with what it asks of the holder', () => {
  it('does not bring a holder to give up what its owner brought', async () => {
    const { owner, holders } = await startNetwork(pool, running, 2, () => short)
    const [victim, other] = holders
    if (victim === undefined || other === undefined) throw new Error('nodes')
    const slab = await makeSlab({ pool, k: 1, n: 2, segments: [300_000] })
    await storeSlab(owner, slab, holders)
    const { asked } = await joinLiar(owner, slab, victim, [other, owner])
    await looks(victim, 12)
    expect(victim.columns.get(slab.slab)).toBeDefined()
    expect(victim.holder.statistics().columnsTrimmed).toBe(0)
    expect(asked.refused).toBe(0)
  })

  it('does not bring a holder to give up what a repair brought: it answers nobody while it asks', async () => {
    const { owner, holders } = await startNetwork(pool, running, 1, () => short)
    const [victim] = holders
    if (victim === undefined) throw new Error('nodes')
    const slab = await makeSlab({ pool, k: 1, n: 2, segments: [300_000] })
    await storeRebuilt(owner, slab, victim)
    const { asked } = await joinLiar(owner, slab, victim, [owner])
    await eventually('the liar was challenged', () => asked.refused > 3, WAIT_MS)
    await looks(victim, 8)
    expect(victim.columns.get(slab.slab)).toBeDefined()
    expect(victim.holder.statistics().columnsTrimmed).toBe(0)
    // Nobody is challenged for long: others are served again.
    await eventually(
      'it serves',
      () =>
        victim.holder.answers.prove(slab.slab, 0, 0).then(
          (proof) => proof !== undefined,
          (error: unknown) => {
            if (error instanceof ChunkRefusedError && error.status === ChunkStatus.busy) return false
            throw error
          },
        ),
      WAIT_MS,
    )
  })

  it('but one that holds what the owner brought is proven over the grace, and the rebuilt one goes', async () => {
    const { owner, holders } = await startNetwork(pool, running, 2, () => short)
    const [original, rebuilt] = holders
    if (original === undefined || rebuilt === undefined) throw new Error('nodes')
    const slab = await makeSlab({ pool, k: 1, n: 2, segments: [300_000] })
    await storeSlab(owner, slab, [original])
    await storeRebuilt(owner, slab, rebuilt)
    const signal = AbortSignal.timeout(WAIT_MS)
    await owner.chunk.hint(rebuilt.libp2p.peerId, { group: slab.group, peers: [original.name] }, signal)
    await eventually('it is given up', () => rebuilt.columns.get(slab.slab) === undefined, WAIT_MS)
    await eventually('counted', () => rebuilt.holder.statistics().columnsTrimmed === 1)
    expect(original.columns.get(slab.slab)).toBeDefined()
  })
})
