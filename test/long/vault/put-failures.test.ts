import { randomBytes } from 'node:crypto'
import type { PeerId } from '@libp2p/interface'
import { afterEach, describe, expect, it } from 'vitest'
import { slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { Chunk, StoreOpen } from '../../../protocols/chunk/index.ts'
import { eventually } from '../../support/network.ts'
import {
  collect,
  startHolders,
  startVaultNode,
  stopVaultNodes,
  type VaultNode,
  type VaultNodeOptions,
} from '../../support/vault-node.ts'

const MIB = 1024 * 1024
const signal = () => AbortSignal.timeout(60_000)
const nodes: VaultNode[] = []

afterEach(async () => {
  await stopVaultNodes(nodes)
  nodes.length = 0
})

async function start(holders: number, options: VaultNodeOptions = {}): Promise<VaultNode[]> {
  const owner = await startVaultNode({ offerBytes: 0, ...options })
  nodes.push(owner)
  const started = await startHolders(holders, owner)
  nodes.push(...started)
  return [owner, ...started]
}

describe('put', () => {
  it('replaces a holder that dies in the middle, without the source', async () => {
    const [owner, ...holders] = await start(6)
    if (owner === undefined) throw new Error('no owner')
    const bytes = randomBytes(12 * MIB)
    const { job, session } = await owner.beginPut(bytes.length, { redundancy: 'rs:2/5' })
    await owner.send(session, bytes.subarray(0, 9 * MIB))
    const victim = holders.find(({ columns }) => columns.usage().drafts > 0)
    expect(victim).toBeDefined()
    await victim?.cut()
    await owner.send(session, bytes)
    await owner.jobs.complete(session, bytes.length)
    const result = await owner.ended<{ link: string; holders: number; missing: number }>(job.id)
    expect(result).toMatchObject({ holders: 5, missing: 0 })
    const read = await collect(owner.service.cat(result.link, { signal: signal() }))
    expect(read.equals(bytes)).toBe(true)
    const counters = owner.jobs.get(job.id)?.progress?.counters
    expect(counters?.['replacedHolders']).toBeGreaterThanOrEqual(1)
  }, 120_000)

  it('goes on after a crash with fresh keys, though the source has changed', async () => {
    const opened = new Set<string>()
    const watch = (chunk: Chunk): Chunk =>
      new Proxy(chunk, {
        get(target, name) {
          if (name !== 'store') {
            const value = Reflect.get(target, name) as unknown
            return typeof value === 'function' ? value.bind(target) : value
          }
          return (peer: never, open: StoreOpen, stop: AbortSignal) => {
            opened.add(slabKeyOf(open.publicKey))
            return target.store(peer, open, stop)
          }
        },
      })
    const [owner] = await start(3, { chunk: watch })
    if (owner === undefined) throw new Error('no owner')
    const first = randomBytes(70 * MIB)
    const { job, session } = await owner.beginPut(first.length, { redundancy: 'copies:2' }, 'same')
    await owner.send(session, first.subarray(0, 68 * MIB))
    await eventually(
      'the first slab is committed',
      () => (owner.jobs.upload(session)?.committedOffset ?? 0) > 0,
      60_000,
    )
    await eventually('the second slab is under way', () => opened.size >= 2)
    const before = new Set(opened)
    await owner.cut()

    const again = await startVaultNode({ home: owner.home, offerBytes: 0, chunk: watch })
    nodes.push(again)
    for (const holder of nodes.slice(1, 4)) await again.connect(holder)
    const resumed = await again.beginPut(first.length, { redundancy: 'copies:2' }, 'same')
    expect(resumed.job.id).toBe(job.id)
    const committed = again.jobs.upload(resumed.session)?.committedOffset ?? 0
    expect(committed).toBe(64 * MIB)
    // The source changed in between, behind what was committed.
    const changed = Buffer.concat([first.subarray(0, committed), randomBytes(first.length - committed)])
    await again.send(resumed.session, changed)
    await again.jobs.complete(resumed.session, changed.length)
    const result = await again.ended<{ link: string; sha256: string }>(job.id)
    const read = await collect(again.service.cat(result.link, { signal: signal() }))
    expect(read.equals(changed)).toBe(true)
    // Nothing but the manifest's id may come again: the slab under way is another one now.
    const after = [...opened].filter((slab) => !before.has(slab))
    expect(after.length).toBeGreaterThanOrEqual(2)
    const report = await again.run<{ owned: { abandonedSlabs: number } }>('prune', { dryRun: true })
    expect(report.owned.abandonedSlabs).toBe(1)
    await again.run('prune', { dryRun: false })
    const clean = await again.run<{ owned: { abandonedSlabs: number } }>('prune', { dryRun: true })
    expect(clean.owned.abandonedSlabs).toBe(0)
  }, 180_000)

  it('goes on with the same columns of the manifest, where there is nothing but a manifest', async () => {
    const asked: { peer: string; column: number }[] = []
    let silent: string | undefined
    const watch = (chunk: Chunk): Chunk =>
      new Proxy(chunk, {
        get(target, name) {
          if (name !== 'store') {
            const value = Reflect.get(target, name) as unknown
            return typeof value === 'function' ? value.bind(target) : value
          }
          return (peer: PeerId, open: StoreOpen, stop: AbortSignal) => {
            asked.push({ peer: peer.toString(), column: open.column })
            if (peer.toString() !== silent) return target.store(peer, open, stop)
            return new Promise((_, reject) => {
              stop.addEventListener('abort', () => reject(stop.reason as Error))
            })
          }
        },
      })
    const [owner, ...holders] = await start(3, { chunk: watch })
    if (owner === undefined) throw new Error('no owner')
    silent = holders[0]?.peer
    const { job, session } = await owner.beginPut(0, { redundancy: 'copies:3' }, 'same')
    await owner.jobs.complete(session, 0)
    const held = () => holders.reduce((sum, { columns }) => sum + columns.usage().columns, 0)
    await eventually('two hold the manifest', () => held() === 2, 60_000)
    const before = new Map(asked.map(({ peer, column }) => [peer, column]))
    expect(before.size).toBe(3)
    await owner.cut()

    asked.length = 0
    silent = undefined
    const again = await startVaultNode({ home: owner.home, offerBytes: 0, chunk: watch })
    nodes.push(again)
    // It goes on by itself, as whoever can take a column comes. The last of those comes first.
    for (const holder of holders.toReversed()) await again.connect(holder)
    expect(await again.ended(job.id)).toMatchObject({ holders: 3, missing: 0, size: 0 })
    const sent = new Map(asked.slice(0, 3).map(({ peer, column }) => [peer, column]))
    expect(sent).toEqual(before)
  }, 120_000)

  it('refuses too few holders and says how many, and why others are not', async () => {
    const [owner] = await start(2)
    if (owner === undefined) throw new Error('no owner')
    const leecher = await startVaultNode({ offerBytes: 0 })
    nodes.push(leecher)
    await owner.connect(leecher)
    await expect(owner.put(randomBytes(10), { redundancy: 'rs:4/8' })).rejects.toMatchObject({
      code: 'ERR_TOO_FEW_HOLDERS',
      kind: 'unavailable',
      details: { needed: 8, found: 2, reasons: [expect.stringContaining('it lends no storage')] },
    })
    expect(await owner.service.list()).toEqual([])
  }, 60_000)

  it('stores degraded where allowed, and adds what is missing when peers come', async () => {
    const [owner] = await start(3)
    if (owner === undefined) throw new Error('no owner')
    const bytes = randomBytes(3 * MIB)
    const result = await owner.put(bytes, { redundancy: 'rs:2/5', allowDegraded: true })
    // Two slabs, data and manifest, of which two columns each are missing.
    expect(result).toMatchObject({ holders: 3, missing: 4 })
    expect(await owner.service.list()).toMatchObject([{ state: 'degraded' }])
    await eventually(
      'the job waits',
      () => owner.jobs.list({ kind: 'complete' })[0]?.state === 'waiting',
      30_000,
    )
    nodes.push(...(await startHolders(2, owner)))
    await eventually('all is there', async () => (await owner.service.list())[0]?.state === 'stored', 60_000)
    const id = owner.jobs.list({ kind: 'complete' })[0]?.id ?? ''
    expect(await owner.ended(id)).toEqual({ added: 4 })
    expect(owner.service.report().degradedSlabs).toBe(0)
    for (const holder of nodes.slice(1, 4)) await holder.stop()
    const read = await collect(owner.service.cat(result.link, { signal: signal() }))
    expect(read.equals(bytes)).toBe(true)
  }, 120_000)

  it('forgets a cancelled put, and prune deletes what it left behind', async () => {
    const [owner, ...holders] = await start(3)
    if (owner === undefined) throw new Error('no owner')
    const { job, session } = await owner.beginPut(80 * MIB, { redundancy: 'copies:2' })
    await owner.send(session, randomBytes(66 * MIB))
    await eventually(
      'a slab is stored',
      () => holders.some(({ columns }) => columns.usage().columns > 0),
      60_000,
    )
    await owner.jobs.cancel(job.id)
    await eventually('its objects are gone', async () => (await owner.service.list()).length === 0)
    await owner.run('prune', { dryRun: false })
    expect(holders.map(({ columns }) => columns.usage().columns)).toEqual([0, 0, 0])
  }, 120_000)
})
