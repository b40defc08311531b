import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import type { SignedBytes } from '../../../protocols/chunk/types.ts'
import { createWorkerPool } from '../../../src/workers/index.ts'
import { DELETIONS_TOPIC } from '../../../src/vault/holder/deletions.ts'
import { eventually, quietLogger } from '../../support/network.ts'
import {
  connectAll,
  deletionOf,
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

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 })
const WAIT_MS = 60_000

const running: HolderNode[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

async function stopFor(nodes: readonly HolderNode[]): Promise<void> {
  for (const node of nodes) running.splice(running.indexOf(node), 1)
  await Promise.all(nodes.map((node) => node.stop({ keepHome: true })))
}

async function startAgain(nodes: readonly HolderNode[]): Promise<HolderNode[]> {
  const back = await Promise.all(nodes.map((node) => startHolder(node.options)))
  running.push(...back)
  return back
}

function tell(owner: HolderNode, holders: readonly HolderNode[], signed: SignedBytes): Promise<number[][]> {
  const signal = AbortSignal.timeout(WAIT_MS)
  return Promise.all(holders.map((holder) => owner.chunk.remove(holder.libp2p.peerId, [signed], signal)))
}

function held(slab: TestSlab, nodes: readonly HolderNode[]): number {
  return [...whoHolds(slab, nodes).values()].flat().length
}

describe('deletion', () => {
  it('reaches two holders that were offline within a minute of their coming back, without the owner', async () => {
    const { owner, holders } = await startNetwork(pool, running, 6)
    const slab = await makeSlab({ pool, k: 2, n: 6 })
    await storeSlab(owner, slab, holders)
    const offline = holders.slice(0, 2)
    const online = holders.slice(2)
    await stopFor(offline)
    const { signed } = deletionOf(slab)
    for (const [status] of await tell(owner, online, signed)) expect(status).toBe(0)
    expect(held(slab, online)).toBe(0)
    // Nobody but the other holders knows of it any more.
    await stopFor([owner])
    const back = await startAgain(offline)
    expect(held(slab, back)).toBe(2)
    await connectAll([...back, ...online])
    await eventually('the deletion came', () => held(slab, back) === 0, WAIT_MS)
    // And it does not come back.
    for (const node of [...back, ...online]) expect(node.columns.isBuried(slab.slab)).toBe(true)
  })

  it('does not let a copy holder that returns bring the file back', async () => {
    const { owner, holders } = await startNetwork(pool, running, 5)
    const slab = await makeSlab({ pool, k: 1, n: 3, segments: [100_000] })
    await storeSlab(owner, slab, holders.slice(0, 3))
    const [sleeper, ...others] = holders
    if (sleeper === undefined) throw new Error('nodes')
    await stopFor([sleeper])
    await tell(owner, others.slice(0, 2), deletionOf(slab).signed)
    const [back] = await startAgain([sleeper])
    if (back === undefined) throw new Error('nodes')
    // With the two that never held it first: they do not know, and it finds nobody else alive.
    await connectAll([back, ...others.slice(2)])
    await connectAll([back, ...others, owner])
    await eventually('deleted there too', () => held(slab, [back]) === 0, WAIT_MS)
    await eventually('nobody has it', () => held(slab, [back, ...others]) === 0, WAIT_MS)
    const refused = storeSlab(owner, slab, [back])
    await expect(refused).rejects.toMatchObject({ code: 'ERR_CHUNK_REFUSED' })
  })

  it('spreads by gossip to holders that the owner does not know', async () => {
    const { owner, holders } = await startNetwork(pool, running, 4)
    const slabs = await Promise.all(
      Array.from({ length: 20 }, () => makeSlab({ pool, k: 1, n: 2, segments: [2_000] })),
    )
    for (const slab of slabs) await storeSlab(owner, slab, holders.slice(0, 2))
    const [neighbour] = holders
    if (neighbour === undefined) throw new Error('nodes')
    await eventually('neighbours', () => owner.gossip.subscribers(DELETIONS_TOPIC).length > 0, WAIT_MS)
    const deletions = slabs.map((slab) => deletionOf(slab).signed)
    await owner.holder.tombstones.spread(deletions, AbortSignal.timeout(WAIT_MS))
    await eventually('all gone', () => slabs.every((slab) => held(slab, holders) === 0), WAIT_MS)
    // The owner's node answers for them as well, in pages.
    expect(owner.columns.tombstones(0, 100).deletions).toHaveLength(20)
  })

  it('that is forged is neither kept nor passed on', async () => {
    const { owner, holders } = await startNetwork(pool, running, 2)
    const [slab, other] = [await makeSlab({ pool, k: 1, n: 2 }), await makeSlab({ pool, k: 1, n: 2 })]
    await storeSlab(owner, slab, holders)
    const forged = { payload: deletionOf(slab).signed.payload, signature: deletionOf(other).signed.signature }
    for (const [status] of await tell(owner, holders, forged)) expect(status).not.toBe(0)
    await expect(owner.holder.tombstones.spread([forged], AbortSignal.timeout(WAIT_MS))).rejects.toThrow()
    expect(held(slab, holders)).toBe(2)
    for (const holder of holders) {
      expect(holder.columns.isBuried(slab.slab)).toBe(false)
      expect(holder.evidence(owner.name)).toContain('message-invalid')
    }
  })

  it('is fetched anew from a peer that began to count again', async () => {
    const { owner, holders } = await startNetwork(pool, running, 3)
    const [keeper, reader] = holders
    if (keeper === undefined || reader === undefined) throw new Error('nodes')
    const slabs = await Promise.all(
      Array.from({ length: 3 }, () => makeSlab({ pool, k: 1, n: 1, segments: [500] })),
    )
    const [first, second, third] = slabs.map((slab) => deletionOf(slab).signed)
    if (first === undefined || second === undefined || third === undefined) throw new Error('slabs')
    await tell(owner, [keeper], first)
    await tell(owner, [keeper], second)
    await eventually(
      'fetched',
      () => slabs.slice(0, 2).every(({ slab }) => reader.columns.isBuried(slab)),
      WAIT_MS,
    )
    running.splice(running.indexOf(keeper), 1)
    await keeper.stop()
    const empty = await startHolder({ pool, privateKey: keeper.privateKey })
    running.push(empty)
    await owner.libp2p.dial(empty.libp2p.getMultiaddrs())
    await tell(owner, [empty], third)
    await connectAll([empty, reader])
    await eventually(
      'the new one is fetched',
      () => reader.columns.isBuried(slabs[2]?.slab ?? first.payload),
      WAIT_MS,
    )
  })
})
