import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import type { LeaveReport } from '../../../src/vault/types.ts'
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

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 })
const WAIT_MS = 60_000

const running: HolderNode[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})

/** Groups of a few slabs, each with the same holders. */
async function put(owner: HolderNode, holders: readonly HolderNode[], groups: number): Promise<TestSlab[]> {
  const slabs: TestSlab[] = []
  for (let group = 0; group < groups; group++) {
    const first = await makeSlab({ pool, k: 2, n: holders.length, segments: [70_000] })
    const second = await makeSlab({ pool, k: 2, n: holders.length, segments: [9_000], group: first.slab })
    for (const slab of [first, second]) await storeSlab(owner, slab, holders)
    slabs.push(first, second)
  }
  return slabs
}

describe('leave', () => {
  it('hands every column over, takes nothing meanwhile, and every slab is whole without the node', async () => {
    const { owner, holders } = await startNetwork(pool, running, 6)
    const slabs = await put(owner, holders.slice(0, 4), 4)
    const [leaver, ...others] = holders
    if (leaver === undefined) throw new Error('nodes')
    const report = await leaver.run<LeaveReport>('leave', { force: false })
    expect(report).toMatchObject({ columns: 8, handedOver: 8, stuck: 0 })
    expect(report.bytes).toBeGreaterThan(8 * 4_096)
    expect(leaver.columns.usage().columns).toBe(0)
    for (const slab of slabs) expect(whoHolds(slab, others).size).toBe(4)
    // Each group stays together.
    for (const slab of slabs) {
      const [holder] = whoHolds(slab, others).get(0) ?? []
      const [ofFirst] = whoHolds(slabs.find(({ group }) => group === slab.group) ?? slab, others).get(0) ?? []
      expect(holder?.name).toBe(ofFirst?.name)
    }
    expect(await owner.chunk.capacity(leaver.libp2p.peerId, AbortSignal.timeout(WAIT_MS))).toMatchObject({
      accepts: false,
    })
    await expect(storeSlab(owner, await makeSlab({ pool, k: 1, n: 1 }), [leaver])).rejects.toMatchObject({
      code: 'ERR_CHUNK_REFUSED',
    })
  })

  it('waits while a slab would drop below its minimum, and goes on when somebody comes who takes it', async () => {
    const { owner, holders } = await startNetwork(pool, running, 3)
    const slab = await makeSlab({ pool, k: 1, n: 3 })
    await storeSlab(owner, slab, holders)
    const [leaver] = holders
    if (leaver === undefined) throw new Error('nodes')
    const job = await leaver.jobs.submit('leave', { force: false })
    await eventually('it says why it waits', () => leaver.jobs.get(job.id)?.state === 'waiting', WAIT_MS)
    expect(leaver.jobs.get(job.id)?.reason).toContain('1 columns have no new holder')
    expect(whoHolds(slab, holders).size).toBe(3)
    const fresh = await startHolder({ pool })
    running.push(fresh)
    await connectAll([fresh, ...holders, owner])
    const record = await leaver.jobs.wait(job.id, AbortSignal.timeout(WAIT_MS))
    expect(record).toMatchObject({ state: 'done', result: { handedOver: 1, stuck: 0 } })
    expect(whoHolds(slab, [fresh]).has(0)).toBe(true)
  })

  it('takes again what is stored here once it was called off', async () => {
    const { owner, holders } = await startNetwork(pool, running, 2)
    const slab = await makeSlab({ pool, k: 1, n: 2 })
    await storeSlab(owner, slab, holders)
    const [leaver] = holders
    if (leaver === undefined) throw new Error('nodes')
    const job = await leaver.jobs.submit('leave', { force: false })
    await eventually('it waits', () => leaver.jobs.get(job.id)?.state === 'waiting', WAIT_MS)
    expect(leaver.holder.statistics().isLeaving).toBe(true)
    await leaver.jobs.cancel(job.id)
    await eventually('it stays', () => !leaver.holder.statistics().isLeaving, WAIT_MS)
    await storeSlab(owner, await makeSlab({ pool, k: 1, n: 1 }), [leaver])
  })

  it('ends with force, and says what is stuck', async () => {
    const { owner, holders } = await startNetwork(pool, running, 2)
    const slab = await makeSlab({ pool, k: 1, n: 2 })
    await storeSlab(owner, slab, holders)
    const [leaver] = holders
    if (leaver === undefined) throw new Error('nodes')
    expect(await leaver.run<LeaveReport>('leave', { force: true })).toMatchObject({ handedOver: 0, stuck: 1 })
  })

  it('does not hold on where a slab has more than it needs', async () => {
    const { owner, holders } = await startNetwork(pool, running, 6)
    const slab = await makeSlab({ pool, k: 2, n: 6 })
    await storeSlab(owner, slab, holders)
    const [leaver] = holders
    if (leaver === undefined) throw new Error('nodes')
    expect(await leaver.run<LeaveReport>('leave', { force: false })).toEqual({
      columns: 1,
      bytes: 0,
      handedOver: 0,
      stuck: 0,
    })
  })

  it('goes on after a restart', async () => {
    const { owner, holders } = await startNetwork(pool, running, 5)
    const slabs = await put(owner, holders.slice(0, 4), 6)
    const [leaver, ...others] = holders
    if (leaver === undefined) throw new Error('nodes')
    const job = await leaver.jobs.submit('leave', { force: false })
    await eventually('some are gone', () => leaver.columns.usage().columns < slabs.length, WAIT_MS)
    running.splice(running.indexOf(leaver), 1)
    await leaver.stop({ keepHome: true })
    const back = await startHolder(leaver.options)
    running.push(back)
    expect(back.holder.statistics().isLeaving || back.columns.usage().columns === 0).toBe(true)
    await connectAll([back, ...others, owner])
    const record = await back.jobs.wait(job.id, AbortSignal.timeout(WAIT_MS))
    expect(record.state).toBe('done')
    for (const slab of slabs) expect(whoHolds(slab, others).size).toBe(4)
  })
})
