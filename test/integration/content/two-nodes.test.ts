import { CID } from 'multiformats/cid'
import { afterEach, describe, expect, it } from 'vitest'
import type { GetResult, PinResult } from '../../../src/content/types.ts'
import { keystream, tarOf } from '../../support/content.ts'
import type { ContentNode } from '../../support/content-node.ts'
import { collect, startContentNode, until } from '../../support/content-node.ts'

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

describe('two connected nodes', () => {
  it('add on one is got by the other, byte for byte, and once', async () => {
    const [a, b] = await Promise.all([start(), start()])
    const bytes = keystream('shared', 10_000_000)
    const added = await a.add(bytes)
    await b.connect(a)

    const got = await b.run<GetResult>('get', { address: added.cid })
    expect(got).toMatchObject({
      cid: added.cid,
      size: bytes.length,
      blocks: 11,
      sources: [{ peer: a.libp2p.peerId.toString(), blocks: 11 }],
    })
    expect((await collect(b.content.cat(added.cid, { signal, offline: true }))).equals(bytes)).toBe(true)

    const again = await b.run<GetResult>('get', { address: added.cid })
    expect(again).toMatchObject({ fetchedBytes: 0, blocks: 11, sources: [] })
  })

  it('reads a tree through the network, and a slice without the rest', async () => {
    const [a, b] = await Promise.all([start(), start()])
    const big = keystream('big', 40_000_000)
    const tar = await tarOf([
      { path: 'docs/read me', content: Buffer.from('hello'), mode: 0o600 },
      { path: 'link', target: 'docs/read me' },
      { path: 'big', content: big },
    ])
    const { cid } = await a.add(tar, { source: 'tree' })
    await b.connect(a)

    expect(await b.content.resolve(`/ipfs/${cid}/docs`, { signal })).toMatchObject({
      type: 'directory',
      name: 'docs',
    })
    expect((await collect(b.content.cat(`${cid}/docs/read me`, { signal }))).toString()).toBe('hello')
    const entries = []
    for await (const entry of b.content.ls(cid, { signal }))
      entries.push([entry.name, entry.type, entry.size])
    expect(entries).toEqual([
      ['big', 'file', 40_000_000],
      ['docs', 'directory', null],
      ['link', 'symlink', 0],
    ])
    const slice = await collect(b.content.cat(`${cid}/big`, { signal, offset: 20_000_000, length: 1_000 }))
    expect(slice.equals(big.subarray(20_000_000, 20_001_000))).toBe(true)
    // A few blocks of 1 MiB, not the forty there are.
    expect(b.storage.blocks.usage().blockBytes).toBeLessThan(6_000_000)

    const stream = await collect(b.content.tar(cid, { signal, name: 'tree' }))
    const copy = await b.add(stream, { source: 'tree', name: 'tree' })
    expect(copy.cid).toBe(cid)
  })

  it('pins what it did not have, keeps it through a collection, and lets the rest go', async () => {
    const [a, b] = await Promise.all([start(), start()])
    const [kept, loose] = [
      await a.add(keystream('kept', 3_000_000)),
      await a.add(keystream('loose', 3_000_000)),
    ]
    await b.connect(a)
    expect(await b.run<PinResult>('pin', { address: kept.cid, name: 'k' })).toMatchObject({
      kind: 'recursive',
      name: 'k',
    })
    await b.run('get', { address: loose.cid })
    expect(await b.run('gc', {})).toMatchObject({ removedBlocks: 4 })
    await a.libp2p.stop()
    expect(await collect(b.content.cat(kept.cid, { signal, offline: true }))).toHaveLength(3_000_000)
    await expect(collect(b.content.cat(loose.cid, { signal, offline: true }))).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    })
  })

  it('shares one fetch among readers of the same file', async () => {
    const [a, b] = await Promise.all([start(), start()])
    const bytes = keystream('popular', 12_000_000)
    const { cid } = await a.add(bytes)
    await b.connect(a)
    const copies = await Promise.all([1, 2, 3, 4].map(() => collect(b.content.cat(cid, { signal }))))
    for (const copy of copies) expect(copy.equals(bytes)).toBe(true)
    const { fetchedBytes } = b.libp2p.services.content.statistics()
    expect(fetchedBytes).toBeLessThan(bytes.length * 1.1)
  })

  it('stops fetching when its last reader goes', async () => {
    const [a, b] = await Promise.all([start(), start()])
    const { cid } = await a.add(keystream('abandoned', 60_000_000))
    await b.connect(a)
    for await (const _ of b.content.cat(cid, { signal })) break
    await until(
      () =>
        b.libp2p.services.content.statistics().outboundStreams === 0 ||
        b.storage.blocks.usage().blockBytes < 60_000_000,
    )
    const before = b.libp2p.services.content.statistics().fetchedBytes
    await new Promise((resolve) => setTimeout(resolve, 300))
    const after = b.libp2p.services.content.statistics().fetchedBytes
    expect(after - before).toBeLessThan(2_000_000)
    expect(after).toBeLessThan(60_000_000)
  })
})

describe('three nodes', () => {
  it('finds a provider in the DHT that it is not connected to', async () => {
    const [a, b, middle] = await Promise.all([start(), start(), start()])
    await a.connect(middle)
    await b.connect(middle)
    const bytes = keystream('announced', 2_000_000)
    const { cid } = await a.add(bytes)
    await until(async () => {
      for await (const { peer } of b.content.providers(CID.parse(cid), { signal })) {
        if (peer === a.libp2p.peerId.toString()) return true
      }
      return false
    })
    const got = await b.run<GetResult>('get', { address: cid })
    expect(got.sources.map(({ peer }) => peer)).toEqual([a.libp2p.peerId.toString()])
    expect((await collect(b.content.cat(cid, { signal, offline: true }))).equals(bytes)).toBe(true)
  }, 60_000)
})

describe('what nobody has', () => {
  const nowhere = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'

  it('ends a get and a cat with what each step answered', async () => {
    const [a, b] = await Promise.all([start(), start()])
    await b.connect(a)
    const failure = {
      code: 'ERR_NOT_FOUND',
      kind: 'not-found',
      details: expect.objectContaining({
        steps: [
          { step: 'connected peers', answer: '1 asked' },
          { step: 'DHT', answer: expect.any(String) },
        ],
      }),
    }
    await expect(b.run('get', { address: nowhere })).rejects.toMatchObject(failure)
    const { cid } = await a.add(await tarOf([{ path: 'here', content: Buffer.from('x') }]), {
      source: 'tree',
    })
    await expect(b.run('get', { address: `${cid}/there` })).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: expect.stringContaining('there'),
    })
    expect(await b.run('get', { address: `${cid}/here` })).toMatchObject({ size: 1, blocks: 1 })
    await expect(collect(b.content.cat(nowhere, { signal }))).rejects.toMatchObject(failure)
    await expect(b.content.resolve(nowhere, { signal, offline: true })).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      details: { steps: [{ step: 'local', answer: 'not held, and offline' }] },
    })
  })

  it('can be waited for no longer than the caller wants', async () => {
    const node = await start()
    await expect(node.content.resolve(nowhere, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    })
  })
})
