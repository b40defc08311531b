import { randomBytes } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { RootFilter } from '../../../protocols/content/index.ts'
import { links } from '../../../protocols/content/links.ts'
import type { AddResult, GetResult } from '../../../src/content/types.ts'
import { collect, type ContentNode, startContentNode, until } from '../../support/content-node.ts'
import { startGateway } from '../../support/trustless-gateway.ts'
import { tarOf } from '../../support/content.ts'

const nodes: ContentNode[] = []
const stopping: (() => Promise<void>)[] = []
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()))
  for (const stop of stopping.splice(0)) await stop()
})

async function node(options: Parameters<typeof startContentNode>[0] = {}): Promise<ContentNode> {
  const started = await startContentNode(options)
  nodes.push(started)
  return started
}

const signal = AbortSignal.timeout(60_000)
const FILE_BYTES = 3 * 1024 * 1024 + 5

/** Every CID of a DAG that a node holds. */
async function allOf(at: ContentNode, root: string): Promise<CID[]> {
  const found: CID[] = []
  const pending = [CID.parse(root)]
  for (let cid = pending.pop(); cid !== undefined; cid = pending.pop()) {
    found.push(cid)
    pending.push(...links(cid, (await at.storage.blocks.get(cid))!))
  }
  return found
}

describe('private content', () => {
  it('has every block marked, before and after a restart', async () => {
    const first = await node()
    const { cid, private: isPrivate } = await first.add(randomBytes(FILE_BYTES), { private: true })
    expect(isPrivate).toBe(true)
    const cids = await allOf(first, cid)
    expect(cids.length).toBe(5)
    expect(cids.every((one) => first.privacy.isPrivate(one))).toBe(true)
    expect(first.content.privateRoots().map((root) => root.cid)).toEqual([cid])
    nodes.splice(nodes.indexOf(first), 1)
    await first.stop({ keepHome: true })
    const again = await node({ home: first.home })
    expect(cids.every((one) => again.privacy.isPrivate(one))).toBe(true)
    expect(again.privacy.isPrivate((await allOf(again, (await again.add(randomBytes(10))).cid))[0]!)).toBe(
      false,
    )
  })

  it('keeps its mark on the way to a peer, and from there to the next', async () => {
    const [a, b, c] = [await node(), await node(), await node()]
    await b.connect(a)
    const bytes = randomBytes(FILE_BYTES)
    const { cid } = await a.add(bytes, { private: true })
    const result = await b.run<GetResult>('get', { address: cid })
    expect(result.sources).toMatchObject([{ step: 'peers' }])
    const cids = await allOf(b, cid)
    expect(cids.every((one) => b.privacy.isPrivate(one))).toBe(true)
    expect(b.content.privateRoots().map((root) => root.cid)).toEqual([cid])
    await c.connect(b)
    expect((await collect(c.content.cat(cid, { signal }))).equals(bytes)).toBe(true)
    expect(cids.every((one) => c.privacy.isPrivate(one))).toBe(true)
  })

  it('marks what it links to with the first block, so that a part that was never fetched is private too', async () => {
    const [a, b] = [await node(), await node()]
    await b.connect(a)
    const { cid } = await a.add(randomBytes(FILE_BYTES), { private: true })
    const cids = await allOf(a, cid)
    await b.content.resolve(cid, { signal })
    expect(await b.storage.blocks.hasMany(cids)).toEqual([true, false, false, false, false])
    expect(cids.every((one) => b.privacy.isPrivate(one))).toBe(true)
  })

  it('does not become public by being added again, and public content does not take it along', async () => {
    const a = await node()
    const secret = randomBytes(FILE_BYTES)
    const { cid } = await a.add(secret, { private: true })
    await expect(a.add(secret)).rejects.toMatchObject({ code: 'ERR_CONTENT_PRIVATE' })
    const tree = await tarOf([
      { path: 'tree' },
      { path: 'tree/secret', content: secret },
      { path: 'tree/open', content: randomBytes(10) },
    ])
    const added: AddResult = await a.add(tree, { source: 'tree', name: 'tree' })
    expect(added.privateBlocks).toBe(5)
    expect(a.privacy.isPrivate(CID.parse(added.cid))).toBe(false)
    expect(a.privacy.isPrivate(CID.parse(cid))).toBe(true)
  })

  it('leaves the empty file and folder to everybody', async () => {
    const a = await node()
    const tree = [
      { path: 'tree' },
      { path: 'tree/empty', content: new Uint8Array(0) },
      { path: 'tree/folder' },
    ]
    await a.add(await tarOf(tree), { source: 'tree', name: 'tree', private: true })
    const other = [...tree, { path: 'tree/open', content: randomBytes(9) }]
    const added = await a.add(await tarOf(other), { source: 'tree', name: 'tree' })
    expect(added.privateBlocks).toBeUndefined()
  })

  it('becomes public when it is told to, but for what other private content shares', async () => {
    const a = await node()
    const shared = randomBytes(FILE_BYTES)
    const treeOf = async (own: string): Promise<Uint8Array> =>
      tarOf([
        { path: 'tree' },
        { path: 'tree/shared', content: shared },
        { path: `tree/${own}`, content: Buffer.from(own) },
      ])
    const tree = { source: 'tree', name: 'tree', private: true } as const
    const first = await a.add(await treeOf('first'), tree)
    const second = await a.add(await treeOf('second'), tree)
    await a.run('make-public', { cid: first.cid })
    expect(a.privacy.isPrivate(CID.parse(first.cid))).toBe(false)
    const kept = await allOf(a, second.cid)
    expect(kept.every((one) => a.privacy.isPrivate(one))).toBe(true)
    const stillPrivate = (await allOf(a, first.cid)).filter((one) => a.privacy.isPrivate(one))
    expect(stillPrivate.length).toBe(5)
    await a.run('make-public', { cid: second.cid })
    expect(kept.some((one) => a.privacy.isPrivate(one))).toBe(false)
    expect(a.content.privateRoots()).toEqual([])
  })

  it('can be made so later, with everything below', async () => {
    const a = await node()
    const { cid } = await a.add(randomBytes(FILE_BYTES))
    await a.run('make-private', { cid })
    const cids = await allOf(a, cid)
    expect(cids.every((one) => a.privacy.isPrivate(one))).toBe(true)
  })

  it('is told of no more from the moment on, and again once it is public', async () => {
    const [a, b] = [await node(), await node()]
    await a.connect(b)
    const { cid } = await a.add(randomBytes(FILE_BYTES))
    const root = CID.parse(cid)
    await until(() => a.content.provideStatistics().provided === 1)
    const served = a.capabilities.serving(a.storage.blocks)
    const filter = async (): Promise<RootFilter> => {
      const block = await served.get(a.capabilities.init.own().filter!.cid, { signal })
      return RootFilter.decode(block!)
    }
    await until(async () => (await filter()).mayHave(root))
    const before = a.capabilities.init.own().filter!.cid
    const withdrawn = vi.spyOn(a.libp2p.contentRouting, 'cancelReprovide')

    await a.content.markPrivate(cid)
    await until(() => withdrawn.mock.calls.some(([each]) => root.equals(each)))
    expect(a.content.provideStatistics().records).toBe(0)
    await until(async () => !(await filter()).mayHave(root))
    expect(await served.has(before)).toBe(false)

    await a.run('make-public', { cid })
    await until(() => a.content.provideStatistics().provided === 2)
    expect(a.content.provideStatistics().records).toBe(1)
    await until(async () => (await filter()).mayHave(root))
  })

  it('takes along what was announced and stands below it', async () => {
    const a = await node()
    const part = randomBytes(FILE_BYTES)
    const { cid } = await a.add(part)
    const tree = await tarOf([{ path: 'tree' }, { path: 'tree/part', content: part }])
    const whole: AddResult = await a.add(tree, { source: 'tree', name: 'tree' })
    expect(a.content.provideStatistics().records).toBe(2)
    await a.run('make-private', { cid: whole.cid })
    expect(a.privacy.isPrivate(CID.parse(cid))).toBe(true)
    await until(() => a.content.provideStatistics().records === 0)
  })

  it('is not announced, and leaves as a CAR only where it is said to', async () => {
    const a = await node()
    const { cid } = await a.add(randomBytes(100), { private: true })
    const refused = { code: 'ERR_CONTENT_PRIVATE' }
    await expect(a.content.provide(CID.parse(cid), { signal })).rejects.toMatchObject(refused)
    await expect(collect(a.content.car(cid, { signal }))).rejects.toMatchObject(refused)
    const car = await collect(a.content.car(cid, { signal, private: true }))
    const b = await node()
    await b.importCar(car, { pin: null, private: true })
    expect(b.privacy.isPrivate(CID.parse(cid))).toBe(true)
  })
})

describe('outside of the network', () => {
  it('nobody is asked for what is known to be private, and nobody gets it', async () => {
    const recorded: string[] = []
    const holder = await node()
    const gateway = await startGateway({
      get: async (cid) => {
        recorded.push(cid.toString())
        return holder.storage.blocks.get(cid)
      },
    })
    stopping.push(() => gateway.stop())
    const { cid } = await holder.add(randomBytes(FILE_BYTES), { private: true })
    const cids = await allOf(holder, cid)
    const asker = await node({
      discovery: {
        steps: { peers: true, ipfs: true, proxy: true, gateways: true },
        gateways: [gateway.url],
        deadlines: { peersMs: 5_000, ipfsMs: 1_000, proxyMs: 1_000, gatewaysMs: 1_000 },
      },
    })
    const error = await asker
      .run('get', { address: cid, private: true })
      .catch((reason: unknown) => reason as { message: string })
    expect(error).toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: expect.stringMatching(/private/) as string,
    })
    expect(recorded).toEqual([])
    // Bitswap's side: a plain want for the root and for a leaf, at a node that holds both.
    await asker.connect(holder)
    for (const one of cids.slice(0, 2)) {
      const wanted = asker.helia.fetchBlock(one, { signal: AbortSignal.timeout(500) })
      await expect(wanted).rejects.toThrow()
    }
    const plain = await node({ ipfs: true })
    await plain.connect(holder)
    for (const one of cids.slice(0, 2)) {
      const wanted = plain.helia.fetchBlock(one, { signal: AbortSignal.timeout(300) })
      await expect(wanted).rejects.toThrow()
    }
    // And within the network it is to be had.
    expect((await asker.run<GetResult>('get', { address: cid })).sources).toMatchObject([{ step: 'peers' }])
  })
})
