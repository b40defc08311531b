import { CID } from 'multiformats/cid'
import { afterEach, describe, expect, it } from 'vitest'
import { evictDag } from '../../../src/content/cache/evictor.ts'
import { keystream, tarOf } from '../../support/content.ts'
import type { ContentNode } from '../../support/content-node.ts'
import { collect, startContentNode, until } from '../../support/content-node.ts'

const nodes: ContentNode[] = []
const { signal } = new AbortController()
const MB = 1_000_000

async function start(options?: Parameters<typeof startContentNode>[0]): Promise<ContentNode> {
  const node = await startContentNode(options)
  nodes.push(node)
  return node
}

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()))
})

async function addAll(node: ContentNode, count: number, bytes: number): Promise<string[]> {
  const cids: string[] = []
  for (let index = 0; index < count; index++)
    cids.push((await node.add(keystream(`content ${index}`, bytes), { name: `${index}` })).cid)
  return cids
}

const holds = (node: ContentNode, cid: string): Promise<boolean> => node.storage.blocks.has(CID.parse(cid))

describe('cached content', () => {
  it('goes below the quota, what was read longest ago first; what is pinned or was added stays', async () => {
    const origin = await start()
    const cids = await addAll(origin, 12, 3 * MB)
    const reader = await start({
      quotaBytes: 40 * MB,
      cache: { strategy: 'lru', limit: 0.5, prefetchBytesPerSecond: 1 },
    })
    const own = await reader.add(keystream('own', MB), { pin: null })
    await reader.connect(origin)
    const [pinned, first, ...others] = cids as [string, string, ...string[]]
    await reader.run('pin', { address: pinned })
    await collect(reader.content.cat(first, { signal }))
    for (const cid of others) {
      await collect(reader.content.cat(cid, { signal }))
      // Read again and again, so that it is never the one that was read longest ago.
      await collect(reader.content.cat(first, { signal }))
      await until(() => reader.storage.blocks.usage().usedBytes < 24 * MB)
    }
    expect(reader.content.cacheStatistics()?.evictedRoots).toBeGreaterThan(3)
    expect(await holds(reader, first)).toBe(true)
    expect(await holds(reader, others[0]!)).toBe(false)
    for (const cid of [pinned, own.cid]) {
      const size = cid === pinned ? 3 * MB : MB
      expect(await collect(reader.content.cat(cid, { signal, offline: true }))).toHaveLength(size)
    }
    // Quota and figures agree: nothing is counted that is gone.
    await until(() => reader.storage.blocks.usage().blockBytes < 24 * MB)
  })

  it('is no longer what was added here as well, pinned or not', async () => {
    const origin = await start()
    const [shared, ...others] = await addAll(origin, 6, 4 * MB)
    const reader = await start({
      quotaBytes: 40 * MB,
      cache: { strategy: 'lru', limit: 0.4, prefetchBytesPerSecond: 1 },
    })
    await reader.connect(origin)
    const bytes = await collect(reader.content.cat(shared!, { signal }))
    // The same chunks, and the file as a whole: acknowledged, and nothing but `gc` may take it.
    expect((await reader.add(bytes, { pin: null })).cid).toBe(shared)
    for (const cid of others) await collect(reader.content.cat(cid, { signal }))
    await until(() => (reader.content.cacheStatistics()?.evictedRoots ?? 0) > 1)
    expect(await collect(reader.content.cat(shared!, { signal, offline: true }))).toHaveLength(4 * MB)
    await reader.run('gc', {})
    expect(await holds(reader, shared!)).toBe(false)
  })

  it('that a lease covers for now is found again once it is given back', async () => {
    const origin = await start()
    const cids = await addAll(origin, 6, 4 * MB)
    const reader = await start({
      quotaBytes: 40 * MB,
      cache: { strategy: 'lru', limit: 0.4, prefetchBytesPerSecond: 1 },
    })
    await reader.connect(origin)
    const backup = await reader.storage.blocks.lease('backup', { keepsAll: true })
    for (const cid of cids.slice(0, 5)) await collect(reader.content.cat(cid, { signal }))
    expect(reader.content.cacheStatistics()).toMatchObject({ roots: 5, evictedRoots: 0 })
    await backup.release()
    await collect(reader.content.cat(cids[5]!, { signal }))
    await until(() => (reader.content.cacheStatistics()?.evictedRoots ?? 0) > 1)
    expect(await holds(reader, cids[0]!)).toBe(false)
  })

  it('that comes from peers of low scores goes first', async () => {
    const [good, bad] = await Promise.all([start(), start()])
    const [goodCid] = await addAll(good, 1, 4 * MB)
    const badCid = (await bad.add(keystream('bad', 4 * MB))).cid
    const reader = await start({
      quotaBytes: 40 * MB,
      cache: { strategy: 'trust', limit: 0.4, prefetchBytesPerSecond: 1 },
      score: (peer) => (peer === bad.libp2p.peerId.toString() ? 0.3 : 0.6),
    })
    await Promise.all([reader.connect(good), reader.connect(bad)])
    await collect(reader.content.cat(goodCid!, { signal }))
    await collect(reader.content.cat(badCid, { signal }))
    const more = (await good.add(keystream('more', 8 * MB))).cid
    await collect(reader.content.cat(more, { signal }))
    await until(async () => !(await holds(reader, badCid)))
    expect(await holds(reader, goodCid!)).toBe(true)
  })

  it('is fetched ahead where it has followed before', async () => {
    const origin = await start()
    const [one, two] = await addAll(origin, 2, 200_000)
    const home = await start({
      cache: { strategy: 'predictive', limit: 0.9, prefetchBytesPerSecond: 1 << 20 },
    })
    await home.connect(origin)
    for (let round = 0; round < 3; round++) {
      for (const cid of [one!, two!]) await collect(home.content.cat(cid, { signal }))
    }
    expect(home.content.cacheStatistics()).toMatchObject({ misses: 2, hits: 4, roots: 2 })
    // Gone, as after an eviction: reading the first brings the second.
    await home.run('gc', {})
    expect(await holds(home, two!)).toBe(false)
    await collect(home.content.cat(one!, { signal }))
    await until(() => holds(home, two!))
    await until(() => home.content.cacheStatistics()?.prefetchedRoots === 1)
  })

  it('is not fetched ahead where it is denied, and keeps nothing else from coming', async () => {
    const origin = await start()
    const [one, two, three] = await addAll(origin, 3, 200_000)
    const home = await start({
      cache: { strategy: 'predictive', limit: 0.9, prefetchBytesPerSecond: 1 << 20 },
    })
    await home.connect(origin)
    for (let round = 0; round < 3; round++) {
      for (const cid of [one!, two!, one!, three!]) await collect(home.content.cat(cid, { signal }))
    }
    await home.run('gc', {})
    home.trust.block(`/ipfs/${two}`)
    await collect(home.content.cat(one!, { signal }))
    await until(() => home.content.cacheStatistics()?.prefetchedRoots === 1)
    expect(await holds(home, three!)).toBe(true)
    expect(await holds(home, two!)).toBe(false)
  })

  it('is known after a restart', async () => {
    const origin = await start()
    const [cid] = await addAll(origin, 1, MB)
    const reader = await startContentNode({
      cache: { strategy: 'lru', limit: 0.9, prefetchBytesPerSecond: 1 },
    })
    await reader.connect(origin)
    await collect(reader.content.cat(cid!, { signal }))
    const { home, privateKey } = reader
    await reader.stop({ keepHome: true })
    const again = await start({
      home,
      privateKey,
      cache: { strategy: 'lru', limit: 0.9, prefetchBytesPerSecond: 1 },
    })
    expect(again.content.cacheStatistics()).toMatchObject({ roots: 1 })
  })
})

describe('an eviction', () => {
  it('takes a folder and leaves what below it is cached on its own account, pinned, or in use', async () => {
    const [origin, node] = await Promise.all([start(), start()])
    await node.connect(origin)
    const tree = await origin.add(
      await tarOf(
        ['other', 'pinned', 'leased', 'cold'].map((path) => ({ path, content: keystream(path, 2 * MB) })),
      ),
      { source: 'tree', name: 'tree', pin: null },
    )
    for (const path of ['other', 'pinned', 'leased', 'cold'])
      await collect(node.content.cat(`${tree.cid}/${path}`, { signal }))
    const at = async (path: string): Promise<CID> =>
      (await node.content.resolve(`${tree.cid}/${path}`, { signal, offline: true })).cid
    const [other, pinned, leased, cold] = await Promise.all(['other', 'pinned', 'leased', 'cold'].map(at))
    await node.storage.pins.add(pinned!, { kind: 'recursive', signal })
    const lease = await node.storage.blocks.lease('test')
    await lease.touch([leased!])
    const options = { ...node.storage, isOther: (cid: CID) => cid.equals(other) }
    const evicted = await evictDag(CID.parse(tree.cid), options, signal)
    expect(evicted?.isLeased).toBe(true)
    expect(evicted?.removedBytes).toBeGreaterThan(2 * MB)
    expect(await node.storage.blocks.hasMany([other!, pinned!, leased!, cold!, CID.parse(tree.cid)])).toEqual(
      [true, true, true, false, false],
    )
    for (const cid of [other!, pinned!])
      expect(await collect(node.content.cat(cid.toString(), { signal, offline: true }))).toHaveLength(2 * MB)
    await lease.release()
    expect(await evictDag(CID.parse(tree.cid), options, signal)).toEqual({
      removedBytes: 0,
      isLeased: false,
    })
  })
})
