import { randomBytes } from 'node:crypto'
import { readdir, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import { afterEach, describe, expect, it } from 'vitest'
import { columnsLayout } from '../../../src/storage/columns/layout.ts'
import { storeColumn, testColumn } from '../../support/columns.ts'
import { keystream, tarOf } from '../../support/content.ts'
import type { ContentNode } from '../../support/content-node.ts'
import { ADD, collect, startContentNode, until } from '../../support/content-node.ts'

const nodes: ContentNode[] = []
const { signal } = new AbortController()

async function start(options?: Parameters<typeof startContentNode>[0]): Promise<ContentNode> {
  const node = await startContentNode(options)
  nodes.push(node)
  return node
}

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()))
})

describe('an add over restarts', () => {
  it('goes on where the daemon stood, and ends in the CID of one that was never interrupted', async () => {
    const entries = [
      { path: 'big', content: keystream('big', 150_000_000) },
      ...Array.from({ length: 300 }, (_, index) => ({
        path: `small/${index}`,
        content: keystream(`${index}`, index * 7),
      })),
    ]
    const tar = await tarOf(entries)
    let node = await startContentNode()
    const { home } = node
    const params = { ...ADD, source: 'tree' as const }
    const job = await node.jobs.submit('add', params, { upload: { fingerprint: 'mine', size: tar.length } })
    const offsets: number[] = []
    for (const stopAt of [70_000_000, 140_000_000, tar.length]) {
      const session = node.jobs.uploadOfJob(job.id)
      if (session === undefined) throw new Error('no session')
      offsets.push(session.committedOffset)
      for (let at = session.offset; at < stopAt; ) {
        const part = tar.subarray(at, Math.min(at + 1_000_000, stopAt))
        const status = await node.jobs.append(
          session.id,
          at,
          (async function* () {
            yield part
          })(),
          signal,
        )
        at = status.offset
      }
      if (stopAt === tar.length) break
      await until(() => (node.jobs.uploadOfJob(job.id)?.committedOffset ?? 0) > (offsets.at(-1) as number))
      await node.stop({ keepHome: true })
      node = await startContentNode({ home })
    }
    nodes.push(node)
    const session = node.jobs.uploadOfJob(job.id)
    await node.jobs.complete(session?.id ?? '', tar.length)
    const ended = await node.jobs.wait(job.id, signal)
    expect(ended.error).toBeNull()
    expect(offsets[0]).toBe(0)
    expect(offsets[1]).toBeGreaterThan(0)
    expect(offsets[2]).toBeGreaterThan(offsets[1] as number)
    expect(ended.result).toMatchObject({ cid: (await node.add(tar, { source: 'tree' })).cid, files: 301 })
    expect(await readdir(join(home, 'jobs'))).toEqual([])
  }, 60_000)

  it('forgets the journal of a job that is gone', async () => {
    const node = await startContentNode()
    await writeFile(join(node.home, 'jobs', 'nobody.entries'), '')
    await node.stop({ keepHome: true })
    const again = await start({ home: node.home })
    expect(await readdir(join(again.home, 'jobs'))).toEqual([])
  })
})

describe('a CAR', () => {
  it('of one node is imported by another, pinned, and survives a collection', async () => {
    const [a, b] = await Promise.all([start(), start()])
    const bytes = keystream('car', 5_000_000)
    const { cid } = await a.add(bytes)
    const car = await collect(a.content.car(cid, { signal }))
    expect(await b.importCar(car, { pin: 'imported' })).toEqual({
      roots: [cid],
      blocks: 6,
      size: expect.any(Number),
    })
    await b.run('gc', {})
    expect((await collect(b.content.cat(cid, { signal, offline: true }))).equals(bytes)).toBe(true)
    expect(b.storage.pins.list().pins.map(({ name }) => name)).toEqual(['imported'])
  })

  it('with a block too few is an error that names it, unless it is not to be pinned', async () => {
    const [a, b] = await Promise.all([start(), start()])
    const { cid } = await a.add(keystream('short', 3_000_000))
    const car = await collect(a.content.car(cid, { signal }))
    // The last block is the rest behind two leaves of 1 MiB; its section ends the CAR.
    const lastBytes = 3_000_000 - 2 * 1_048_576
    const cut = car.subarray(0, car.length - lastBytes - 36 - 3)
    await expect(b.importCar(cut, { pin: 'x' })).rejects.toMatchObject({ code: 'ERR_PIN_INCOMPLETE' })
    expect(await b.importCar(cut, { pin: null })).toMatchObject({ roots: [cid], blocks: 3 })
  })

  it('with a block that is not what its CID says is refused', async () => {
    const [a, b] = await Promise.all([start(), start()])
    const { cid } = await a.add(keystream('rotten', 2_000_000))
    const car = await collect(a.content.car(cid, { signal }))
    car[car.length - 1] = (car[car.length - 1] as number) ^ 1
    await expect(b.importCar(car, { pin: null })).rejects.toMatchObject({ code: 'ERR_BLOCK_INVALID' })
    await expect(b.importCar(Buffer.from('not a CAR'), { pin: null })).rejects.toMatchObject({
      code: 'ERR_CAR_INVALID',
    })
    await expect(b.importCar(car.subarray(0, 1_500_000), { pin: null })).rejects.toMatchObject({
      code: 'ERR_CAR_INVALID',
    })
  })
})

describe('a scrub', () => {
  it('counts every block and every column', async () => {
    const node = await start()
    await node.add(keystream('scrubbed', 3_000_000))
    const [good, bad] = [testColumn('good'), testColumn('bad')]
    for (const column of [good, bad]) await storeColumn(node.storage.columns, column)
    await unlink(columnsLayout(node.home).filePath(bad.slab))
    expect(await node.run('scrub', {})).toMatchObject({
      checkedBlocks: 4,
      rottenBlocks: 0,
      checkedColumns: 2,
      rottenColumns: 1,
    })
    expect(node.storage.columns.usage()).toMatchObject({ columns: 1, rottenColumns: 1 })
  })
})

describe('Bitswap', () => {
  it('brings a block that no p2pnode peer would give, but only if the policy of its holder allows', async () => {
    const asked: [string, string, string | undefined][] = []
    let isAllowed = true
    const [a, b] = await Promise.all([
      start({
        bitswapPolicy: (peer, action, subject) => {
          asked.push([peer, action, subject?.cid])
          return isAllowed ? { allowed: true } : { allowed: false, reason: 'score' }
        },
      }),
      start({ ipfs: true }),
    ])
    const [bytes, other] = [randomBytes(300_000), randomBytes(300_000)]
    const [{ cid }, denied] = [await a.add(bytes), await a.add(other)]
    await b.connect(a)
    // The content protocol is out of the way, so that nothing but Bitswap is left.
    await a.libp2p.unhandle(a.libp2p.services.content.protocols)

    const got = await b.helia.fetchBlock(CID.parse(cid), { signal })
    expect(Buffer.from(got).equals(bytes)).toBe(true)
    expect(asked).toContainEqual([b.libp2p.peerId.toString(), 'serve-bitswap', cid])

    isAllowed = false
    const soon = AbortSignal.timeout(1_500)
    await expect(b.helia.fetchBlock(CID.parse(denied.cid), { signal: soon })).rejects.toThrow()
    expect(asked).toContainEqual([b.libp2p.peerId.toString(), 'serve-bitswap', denied.cid])
    expect(await b.storage.blocks.has(CID.parse(denied.cid))).toBe(false)

    // The same through the door: a get that peers cannot serve goes on by Bitswap.
    isAllowed = true
    expect(await b.run('get', { address: denied.cid })).toMatchObject({
      blocks: 1,
      size: 300_000,
      sources: [{ peer: 'ipfs', blocks: 1, bytes: 300_000 }],
    })
  })
})
