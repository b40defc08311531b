import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { createWorkerPool } from '../../../src/workers/index.ts'
import { eventually, quietLogger } from '../../support/network.ts'
import {
  connectAll,
  type HolderNode,
  makeSlab,
  startHolder,
  startNetwork,
  storeSlab,
  type TestSlab,
  whoHolds,
} from '../../support/vault-holders.ts'

const pool = createWorkerPool({ log: quietLogger(), threads: 1 })
afterAll(() => pool.close())

// Many nodes in one process, on a machine that may be busy: what is waited for comes in seconds where it is not.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 })
const WAIT_MS = 100_000

const running: HolderNode[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

/** Every column with one holder, and each holder with one column. */
function isWhole(slab: TestSlab, nodes: readonly HolderNode[]): boolean {
  const held = whoHolds(slab, nodes)
  return held.size === slab.index.n && [...held.values()].every((holders) => holders.length === 1)
}

function rebuilt(nodes: readonly HolderNode[]): number {
  return nodes.reduce((sum, { holder }) => sum + holder.statistics().columnsRebuilt, 0)
}

async function stop(nodes: readonly HolderNode[], options: { keepHome?: boolean } = {}): Promise<void> {
  for (const node of nodes) running.splice(running.indexOf(node), 1)
  await Promise.all(nodes.map((node) => node.stop(options)))
}

describe('repair', () => {
  it('brings a network back to full redundancy after three of eleven are gone for good; nothing is rebuilt twice', async () => {
    const { owner, holders } = await startNetwork(pool, running, 11, () => ({
      intervalMs: 1_500,
      graceMs: 1_500,
    }))
    const slabs: TestSlab[] = []
    for (let count = 0; count < 3; count++) {
      const slab = await makeSlab({ pool, k: 4, n: 8, segments: [150_000, 20_000] })
      await storeSlab(owner, slab, holders.slice(0, 8))
      slabs.push(slab)
    }
    // A small object, kept as copies.
    const copies = await makeSlab({ pool, k: 1, n: 5, segments: [1_000] })
    await storeSlab(owner, copies, holders.slice(0, 5))
    slabs.push(copies)
    await eventually(
      'all look after each other',
      () => holders.slice(0, 8).every(({ holder }) => holder.statistics().visits > 1),
      WAIT_MS,
    )
    await stop([...holders.slice(1, 4), owner])
    const left = [...holders.slice(0, 1), ...holders.slice(4)]
    await eventually('whole again', () => slabs.every((slab) => isWhole(slab, left)), WAIT_MS)
    // Three columns of each slab.
    await eventually('counted', () => rebuilt(left) >= 4 * 3)
    expect(rebuilt(left)).toBe(4 * 3)
    expect(left.reduce((sum, { holder }) => sum + holder.statistics().columnsTrimmed, 0)).toBe(0)
  })

  it('does nothing while enough are live', async () => {
    const { owner, holders } = await startNetwork(pool, running, 8)
    const slab = await makeSlab({ pool, k: 2, n: 6 })
    await storeSlab(owner, slab, holders.slice(0, 6))
    const [gone] = holders
    if (gone === undefined) throw new Error('nodes')
    await stop([gone])
    const left = holders.slice(1)
    await eventually(
      'it was measured',
      () => left.some(({ holder }) => holder.statistics().slabsMeasured > 0),
      WAIT_MS,
    )
    expect(whoHolds(slab, left).size).toBe(5)
    expect(rebuilt(left)).toBe(0)
  })

  it('rebuilds what a holder lost that was wiped and came back empty under its key', async () => {
    const { owner, holders } = await startNetwork(pool, running, 5)
    const slab = await makeSlab({ pool, k: 1, n: 3, segments: [300_000] })
    await storeSlab(owner, slab, holders.slice(0, 3))
    const [wiped, ...left] = holders
    if (wiped === undefined) throw new Error('nodes')
    await stop([wiped])
    const empty = await startHolder({ pool, privateKey: wiped.privateKey })
    running.push(empty)
    expect(empty.name).toBe(wiped.name)
    await connectAll([empty, ...left, owner])
    const all = [empty, ...left]
    await eventually('whole again', () => isWhole(slab, all), WAIT_MS)
    await eventually('counted', () => rebuilt(all) === 1)
  })

  it('trims what was rebuilt after two holders were cut off and came back', async () => {
    const { owner, holders } = await startNetwork(pool, running, 8)
    const slab = await makeSlab({ pool, k: 2, n: 6, segments: [60_000] })
    await storeSlab(owner, slab, holders.slice(0, 6))
    const cut = holders.slice(0, 2)
    const left = holders.slice(2)
    await eventually(
      'all look after each other',
      () => holders.slice(0, 6).every(({ holder }) => holder.statistics().visits > 1),
      WAIT_MS,
    )
    await stop(cut, { keepHome: true })
    await eventually('whole without them', () => isWhole(slab, left), WAIT_MS)
    const back = await Promise.all(cut.map((node) => startHolder(node.options)))
    running.push(...back)
    for (const node of back) expect(node.columns.get(slab.slab)).toBeDefined()
    await connectAll([...back, ...left, owner])
    const all = [...back, ...left]
    await eventually('each column once', () => isWhole(slab, all), WAIT_MS)
    const trimmed = (nodes: readonly HolderNode[]): number =>
      nodes.reduce((sum, { holder }) => sum + holder.statistics().columnsTrimmed, 0)
    await eventually('counted', () => trimmed(all) === 2)
    // What the owner brought stays; what was rebuilt in its place goes.
    expect(trimmed(back)).toBe(0)
    for (const node of back) expect(node.columns.get(slab.slab)).toBeDefined()
  })

  it('waits for its rank and its grace, and does nothing where those that were away come back meanwhile', async () => {
    const { owner, holders } = await startNetwork(pool, running, 5, () => ({ graceMs: 60_000 }))
    const slab = await makeSlab({ pool, k: 1, n: 3 })
    await storeSlab(owner, slab, holders.slice(0, 3))
    const [away, ...left] = holders
    if (away === undefined) throw new Error('nodes')
    await stop([away], { keepHome: true })
    await eventually(
      'a repair is planned',
      () => left.some(({ holder }) => holder.statistics().pendingRepairs > 0),
      WAIT_MS,
    )
    const back = await startHolder(away.options)
    running.push(back)
    await connectAll([back, ...left])
    await eventually(
      'nobody doubts any more',
      () => left.every(({ holder }) => holder.statistics().doubtfulColumns === 0),
      WAIT_MS,
    )
    expect(rebuilt([back, ...left])).toBe(0)
    expect(isWhole(slab, [back, ...left])).toBe(true)
  })
})
