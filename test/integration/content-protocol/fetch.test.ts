import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import * as dagCbor from '@ipld/dag-cbor'
import { exporter } from 'ipfs-unixfs-exporter'
import type { PeerId } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { afterEach, describe, expect, it } from 'vitest'
import type { ByteRange, ContentLimits, FetchDagOptions, Scope } from '../../../protocols/content/index.ts'
import { MAX_ACTIVE_SOURCES } from '../../../protocols/content/limits.ts'
import {
  cidAt,
  cidOf,
  connect,
  importFiles,
  importRandomFile,
  MemoryBlocks,
  rawCid,
  startNode,
  type TestNode,
  until,
} from '../../support/content-protocol.ts'

const KIB = 1024
const MIB = 1024 * KIB
const nodes: TestNode[] = []

async function node(blocks?: MemoryBlocks, limits: Partial<ContentLimits> = {}): Promise<TestNode> {
  const started = await startNode({ ...(blocks === undefined ? {} : { blocks }), limits })
  nodes.push(started)
  return started
}

/** A client connected to servers that hold `stores`. */
async function network(
  stores: MemoryBlocks[],
  limits: Partial<ContentLimits> = {},
): Promise<{ client: TestNode; servers: TestNode[] }> {
  const client = await node(undefined, limits)
  const servers = await Promise.all(stores.map((store) => node(store, limits)))
  for (const server of servers) await connect(client.libp2p, server.libp2p)
  return { client, servers }
}

function options(
  client: TestNode,
  servers: TestNode[],
  extra: Partial<FetchDagOptions> = {},
): FetchDagOptions {
  return {
    scope: 'all',
    sources: servers.map((server) => server.peerId),
    held: client.blocks,
    sink: client.blocks,
    signal: AbortSignal.timeout(30_000),
    ...extra,
  }
}

const served = (servers: TestNode[]): number =>
  servers.reduce((sum, server) => sum + server.content.statistics().servedBlocks, 0)

async function readFile(blocks: MemoryBlocks, cid: CID): Promise<Buffer> {
  const entry = await exporter(cid, blocks.asBlockstore() as never)
  if (entry.type !== 'file') throw new Error('not a file')
  const parts: Uint8Array[] = []
  for await (const part of entry.content()) parts.push(part)
  return Buffer.concat(parts)
}

afterEach(async () => {
  await Promise.all(nodes.splice(0).map((started) => started.stop()))
})

describe('a fetch from one source', () => {
  it('brings a whole file, byte for byte, each block once', async () => {
    const store = new MemoryBlocks()
    const { root, content } = await importRandomFile(store, 10 * MIB, 256 * KIB)
    const { client, servers } = await network([store])
    const progress: number[] = []
    const statistics = await client.content.fetchDag(
      root,
      options(client, servers, { onProgress: ({ knownBytes }) => progress.push(knownBytes) }),
    ).done
    expect(statistics).toMatchObject({
      blocks: store.size,
      bytes: store.bytes,
      heldBlocks: 0,
      duplicateBlocks: 0,
    })
    expect(statistics.sources[servers[0]!.peerId.toString()]).toEqual({
      blocks: store.size,
      bytes: store.bytes,
      failures: 0,
    })
    expect(served(servers)).toBe(store.size)
    expect((await readFile(client.blocks, root)).equals(content)).toBe(true)
    expect(progress.at(-1)).toBe(store.bytes)
    expect(client.trust.of('transfer-served')).toHaveLength(1)
    expect(client.trust.evidence).toHaveLength(1)
  })

  it('brings blocks of 2 MiB, of one byte and of none', async () => {
    const store = new MemoryBlocks()
    const leaves = [randomBytes(2 * MIB), Buffer.from('x'), Buffer.alloc(0)]
    for (const leaf of leaves) store.add(rawCid(leaf), leaf)
    const bytes = dagCbor.encode(leaves.map(rawCid))
    const root = cidOf(dagCbor.code, bytes)
    store.add(root, bytes)
    const { client, servers } = await network([store])
    await client.content.fetchDag(root, options(client, servers)).done
    for (const leaf of leaves) expect(leaf.equals(client.blocks.peek(rawCid(leaf))!)).toBe(true)
  })

  it('brings a tree of thousands of small files', async () => {
    const store = new MemoryBlocks()
    const files = Array.from({ length: 3_000 }, (_, index) => ({
      path: `d${index % 50}/file-${index}`,
      content: Buffer.from(`content of ${index}`),
    }))
    const entries = await importFiles(store, files)
    const { client, servers } = await network([store])
    const statistics = await client.content.fetchDag(entries.get('')!, options(client, servers)).done
    expect(client.blocks.size).toBe(store.size)
    expect(statistics.blocks).toBe(store.size)
    expect(served(servers)).toBe(store.size)
  })

  it('reuses its stream for the next fetch', async () => {
    const store = new MemoryBlocks()
    const { client, servers } = await network([store])
    for (let round = 0; round < 5; round++) {
      const { root } = await importRandomFile(store, 10 * KIB)
      await client.content.fetchDag(root, options(client, servers)).done
    }
    expect(client.content.statistics().outboundStreams).toBe(1)
  })

  it('brings a file of one block that is repeated a thousand times', async () => {
    const store = new MemoryBlocks()
    const entries = await importFiles(store, [{ path: 'zeros', content: Buffer.alloc(16 * MIB) }], {
      chunkBytes: 16 * KIB,
      wrap: false,
    })
    const root = entries.get('zeros')!
    const { client, servers } = await network([store])
    await client.content.fetchDag(root, options(client, servers)).done
    expect(served(servers)).toBe(store.size)
    expect(client.blocks.size).toBe(store.size)
  })
})

describe('scopes, paths and ranges', () => {
  async function tree(shardAbove?: number): Promise<{ store: MemoryBlocks; root: CID }> {
    const store = new MemoryBlocks()
    const files = Array.from({ length: 300 }, (_, index) => ({
      path: `docs/guide-${index}.txt`,
      content: randomBytes(index === 7 ? 1 * MIB : 100),
    }))
    const entries = await importFiles(
      store,
      [...files, { path: 'readme', content: Buffer.from('hi') }],
      shardAbove === undefined ? {} : { shardAbove },
    )
    return { store, root: [...entries.values()].at(-1)! }
  }

  const cases: { scope: Scope; path?: string[]; range?: ByteRange; has: string[]; lacks: string[] }[] = [
    { scope: 'block', has: [''], lacks: ['docs', 'readme'] },
    { scope: 'block', path: ['docs'], has: ['', 'docs'], lacks: ['readme', 'docs/guide-1.txt'] },
    { scope: 'entity', path: ['docs'], has: ['', 'docs'], lacks: ['readme', 'docs/guide-1.txt'] },
    {
      scope: 'entity',
      path: ['docs', 'guide-7.txt'],
      has: ['', 'docs', 'docs/guide-7.txt'],
      lacks: ['readme'],
    },
    {
      scope: 'all',
      path: ['docs'],
      has: ['docs', 'docs/guide-1.txt', 'docs/guide-299.txt'],
      lacks: ['readme'],
    },
  ]

  for (const shardAbove of [undefined, 1]) {
    describe(shardAbove === undefined ? 'plain directories' : 'sharded directories', () => {
      it.each(cases.map((item) => [`${item.scope} of /${(item.path ?? []).join('/')}`, item] as const))(
        '%s',
        async (_name, { scope, path, has, lacks }) => {
          const { store, root } = await tree(shardAbove)
          const { client, servers } = await network([store])
          await client.content.fetchDag(
            root,
            options(client, servers, { scope, ...(path === undefined ? {} : { path }) }),
          ).done
          for (const name of has)
            expect(await client.blocks.has(await cidAt(store, root, name)), name).toBe(true)
          for (const name of lacks)
            expect(await client.blocks.has(await cidAt(store, root, name)), name).toBe(false)
          expect(served(servers)).toBe(client.blocks.size)
        },
      )

      it('brings all shards of a directory, and no entries, as an entity', async () => {
        const { store, root } = await tree(shardAbove)
        const { client, servers } = await network([store])
        const docs = await cidAt(store, root, 'docs')
        await client.content.fetchDag(docs, options(client, servers, { scope: 'entity' })).done
        const names: string[] = []
        const directory = await exporter(docs, client.blocks.asBlockstore() as never)
        if (directory.type !== 'directory') throw new Error('not a directory')
        for await (const entry of directory.entries()) names.push(entry.name)
        expect(names).toHaveLength(300)
        expect(await client.blocks.has(await cidAt(store, root, 'docs/guide-7.txt'))).toBe(false)
      })

      it('says which segment of a path does not exist, and keeps the blocks that prove it', async () => {
        const { store, root } = await tree(shardAbove)
        const { client, servers } = await network([store])
        const fetch = client.content.fetchDag(root, options(client, servers, { path: ['docs', 'nope'] }))
        const error = { code: 'ERR_NOT_FOUND', details: { segment: 'nope' } }
        await expect(fetch.done).rejects.toMatchObject(error)
        expect(served(servers)).toBe(client.blocks.size)
        expect(await client.blocks.has(await cidAt(store, root, 'docs'))).toBe(true)

        const again = client.content.fetchDag(root, options(client, servers, { path: ['docs', 'nope'] }))
        await expect(again.done).rejects.toMatchObject(error)
        expect(served(servers)).toBe(client.blocks.size)
      })
    })
  }

  it.each([
    [{ from: 0, to: 0 }, 1],
    [{ from: 100 * KIB, to: 190 * KIB }, 2],
    [{ from: -1 }, 1],
    [{ from: -65 * KIB, to: -1 }, 2],
    [{ from: 0 }, 64],
    [{ from: 5 * MIB }, 0],
  ] satisfies [ByteRange, number][])('range %o needs %i leaves', async (range, leaves) => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 4 * MIB, 64 * KIB)
    const { client, servers } = await network([store])
    await client.content.fetchDag(root, options(client, servers, { scope: 'entity', range })).done
    expect(client.blocks.cids.filter((cid) => cid.code === 0x55)).toHaveLength(leaves)
    expect(served(servers)).toBe(client.blocks.size)
  })

  it('follows a path through dag-cbor', async () => {
    const store = new MemoryBlocks()
    const leaf = randomBytes(1_000)
    store.add(rawCid(leaf), leaf)
    const other = randomBytes(1_000)
    store.add(rawCid(other), other)
    const bytes = dagCbor.encode({ a: { b: [rawCid(leaf), 1] }, other: rawCid(other) })
    const root = cidOf(dagCbor.code, bytes)
    store.add(root, bytes)
    const { client, servers } = await network([store])
    await client.content.fetchDag(root, options(client, servers, { path: ['a', 'b', '0'] })).done
    expect(await client.blocks.has(rawCid(leaf))).toBe(true)
    expect(await client.blocks.has(rawCid(other))).toBe(false)
  })
})

describe('a fetch from several sources', () => {
  it('has each block sent once', async () => {
    const store = new MemoryBlocks()
    const { root, content } = await importRandomFile(store, 24 * MIB, 128 * KIB)
    const { client, servers } = await network([store, store.clone(), store.clone()])
    const statistics = await client.content.fetchDag(root, options(client, servers)).done
    expect(served(servers)).toBe(store.size)
    expect(statistics.duplicateBlocks).toBe(0)
    for (const server of servers) {
      expect(server.content.statistics().servedBlocks).toBeGreaterThan(store.size / 20)
    }
    expect((await readFile(client.blocks, root)).equals(content)).toBe(true)
  })

  it('puts together what is scattered over them', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 8 * MIB, 64 * KIB)
    const parts = [0, 1, 2].map((part) => store.clone((cid, index) => cid.equals(root) || index % 3 === part))
    const { client, servers } = await network(parts)
    await client.content.fetchDag(root, options(client, servers)).done
    expect(client.blocks.size).toBe(store.size)
    expect(served(servers)).toBe(store.size)
  })

  it('puts together a first half here and a second half there', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 8 * MIB, 32 * KIB)
    const half = store.size / 2
    const parts = [
      store.clone((cid, index) => cid.equals(root) || index < half),
      store.clone((cid, index) => cid.equals(root) || index >= half),
    ]
    const { client, servers } = await network(parts)
    await client.content.fetchDag(root, options(client, servers)).done
    expect(client.blocks.size).toBe(store.size)
    expect(served(servers)).toBe(store.size)
  })

  it('goes on when one is killed half way', async () => {
    const store = new MemoryBlocks()
    const { root, content } = await importRandomFile(store, 24 * MIB, 128 * KIB)
    const { client, servers } = await network([store, store.clone(), store.clone()])
    const fetch = client.content.fetchDag(root, options(client, servers))
    await until(() => fetch.statistics.blocks > store.size / 3)
    await nodes.splice(nodes.indexOf(servers[1]!), 1)[0]!.stop()
    const statistics = await fetch.done
    expect(statistics.blocks).toBe(store.size)
    expect((await readFile(client.blocks, root)).equals(content)).toBe(true)
  })

  it('finds the one that has it behind more than can be asked at once', async () => {
    const store = new MemoryBlocks()
    const { root, content } = await importRandomFile(store, 2 * MIB, 128 * KIB)
    const empty = Array.from({ length: MAX_ACTIVE_SOURCES + 3 }, () => new MemoryBlocks())
    const { client, servers } = await network([...empty, store])
    await client.content.fetchDag(root, options(client, servers)).done
    expect(served(servers)).toBe(store.size)
    expect((await readFile(client.blocks, root)).equals(content)).toBe(true)
  })

  it('puts together what is scattered over more than can be asked at once, and asks again who had to give way', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 2 * MIB, 16 * KIB)
    const count = MAX_ACTIVE_SOURCES + 4
    // Nobody has more than a part, and the root lies with the last one only.
    const parts = Array.from({ length: count }, (_, part) =>
      store.clone((cid, index) => (cid.equals(root) ? part === count - 1 : index % count === part)),
    )
    const { client, servers } = await network(parts)
    await client.content.fetchDag(root, options(client, servers)).done
    expect(client.blocks.size).toBe(store.size)
    expect(served(servers)).toBe(store.size)
  })

  it('asks one that is named again before others that wait', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 256 * KIB, 64 * KIB)
    const empty = Array.from({ length: MAX_ACTIVE_SOURCES + 6 }, () => new MemoryBlocks())
    const { client, servers } = await network([...empty, store])
    const peers = servers.map(({ peerId }) => peerId)
    const sources = [...peers, peers.at(-1)!]
    await client.content.fetchDag(root, options(client, servers, { sources })).done
    const asked = servers.filter(({ content }) => content.statistics().inboundStreams > 0)
    expect(asked.length).toBeLessThanOrEqual(MAX_ACTIVE_SOURCES + 1)
  })

  it('is ERR_NOT_FOUND once all of many were asked', async () => {
    const empty = Array.from({ length: MAX_ACTIVE_SOURCES + 3 }, () => new MemoryBlocks())
    const { client, servers } = await network(empty)
    const fetch = client.content.fetchDag(rawCid(Buffer.from('x')), options(client, servers))
    await expect(fetch.done).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    expect(Object.keys(fetch.statistics.sources)).toHaveLength(servers.length)
  })

  it('takes on a source that comes later', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 4 * MIB, 64 * KIB)
    const late = store.clone()
    for (const cid of [...store.cids].slice(10, 40)) if (!cid.equals(root)) store.delete(cid)
    const { client, servers } = await network([store, late])
    const arrival = Promise.withResolvers<void>()
    async function* sources(): AsyncGenerator<(typeof servers)[0]['peerId']> {
      yield servers[0]!.peerId
      await arrival.promise
      yield servers[1]!.peerId
    }
    const fetch = client.content.fetchDag(root, options(client, servers, { sources: sources() }))
    await until(() => fetch.statistics.blocks >= store.size)
    arrival.resolve()
    await fetch.done
    expect(client.blocks.size).toBe(late.size)
  })

  it.each([0, 1])('gives a slow source less, and relieves it, wherever it stands: %i', async (place) => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 16 * MIB, 64 * KIB)
    const slow = store.clone()
    slow.beforeGet = () => new Promise((resolve) => setTimeout(resolve, 1_000))
    const { client, servers } = await network([store, slow], { readAheadBlocks: 1, sourceIdleMs: 5_000 })
    const order = place === 0 ? servers.toReversed() : servers
    async function* sources(): AsyncGenerator<PeerId> {
      yield order[0]!.peerId
      await until(() => order[0]!.blocks.gets > 0)
      yield order[1]!.peerId
    }
    const start = performance.now()
    const fetch = client.content.fetchDag(root, options(client, servers, { sources: sources() }))
    const statistics = await fetch.done
    expect(performance.now() - start).toBeLessThan(12_000)
    expect(statistics.sources[servers[1]!.peerId.toString()]?.blocks ?? 0).toBeLessThan(16)
    expect(served(servers)).toBe(store.size)
  })

  it('tries a lost source again', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 24 * MIB, 256 * KIB)
    const { client, servers } = await network([store])
    const fetch = client.content.fetchDag(root, options(client, servers))
    await until(() => fetch.statistics.blocks > 20)
    for (const connection of client.libp2p.getConnections())
      connection.abort(new Error('the cable was pulled'))
    const statistics = await fetch.done
    expect(statistics.blocks).toBe(store.size)
    expect(statistics.sources[servers[0]!.peerId.toString()]!.failures).toBe(1)
  })
})

describe('what is held already', () => {
  it('is not asked for, wherever it lies', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 8 * MIB, 64 * KIB)
    const { client, servers } = await network([store])
    for (const [index, cid] of store.cids.entries()) {
      if (index % 2 === 0 || cid.equals(root)) client.blocks.add(cid, store.peek(cid)!)
    }
    const before = client.blocks.size
    const statistics = await client.content.fetchDag(root, options(client, servers)).done
    expect(statistics.heldBlocks).toBe(before)
    expect(statistics.blocks).toBe(store.size - before)
    expect(served(servers)).toBe(store.size - before)
  })

  it('is enough without any source', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 1 * MIB, 64 * KIB)
    const client = await node(store)
    const statistics = await client.content.fetchDag(root, options(client, [])).done
    expect(statistics.heldBlocks).toBe(store.size)
  })

  it('counts when a cancelled fetch is begun again', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 16 * MIB, 64 * KIB)
    const { client, servers } = await network([store])
    const stop = new AbortController()
    const first = client.content.fetchDag(root, options(client, servers, { signal: stop.signal }))
    await until(() => client.blocks.size > 40)
    stop.abort()
    await expect(first.done).rejects.toMatchObject({ code: 'ERR_CANCELLED', kind: 'cancelled' })
    const kept = client.blocks.size
    const statistics = await client.content.fetchDag(root, options(client, servers)).done
    expect(statistics.heldBlocks).toBe(kept)
    expect(statistics.blocks).toBe(store.size - kept)
    await until(() => servers[0]!.content.statistics().inboundStreams <= 1)
    expect(client.trust.of('transfer-failed')).toEqual([])
  })
})

describe('the end of a fetch', () => {
  it('is ERR_NOT_FOUND where nobody has a block', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 4 * MIB, 64 * KIB)
    const missing = store.cids.find((cid) => cid.code === 0x55)!
    store.delete(missing)
    const { client, servers } = await network([store, store.clone()])
    const fetch = client.content.fetchDag(root, options(client, servers))
    await expect(fetch.done).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      details: { cid: missing.toString() },
    })
  })

  it('is ERR_NOT_FOUND where there is no source at all', async () => {
    const { client } = await network([])
    const fetch = client.content.fetchDag(rawCid(Buffer.from('x')), options(client, []))
    await expect(fetch.done).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })

  it('is ERR_FETCH_STALLED where a source may still come and none does', async () => {
    const client = await node()
    const never: AsyncIterable<PeerId> = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }),
    }
    const fetch = client.content.fetchDag(
      rawCid(Buffer.from('x')),
      options(client, [], { sources: never, stallTimeoutMs: 300 }),
    )
    await expect(fetch.done).rejects.toMatchObject({ code: 'ERR_FETCH_STALLED', kind: 'timeout' })
  })

  it('is none where much is held and the store is slow', async () => {
    const client = await node()
    const never: AsyncIterable<PeerId> = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }),
    }
    let next: CID | null = null
    for (let depth = 0; depth < 20; depth += 1) {
      const bytes = dagCbor.encode({ depth, next })
      next = cidOf(dagCbor.code, bytes)
      await client.blocks.put(next, bytes)
    }
    const held = {
      async get(cid: CID) {
        await sleep(50)
        return client.blocks.get(cid)
      },
      has: (cid: CID) => client.blocks.has(cid),
    }
    const extra = { sources: never, stallTimeoutMs: 300, held }
    const { heldBlocks } = await client.content.fetchDag(next as CID, options(client, [], extra)).done
    expect(heldBlocks).toBe(20)
  })

  it('is the error of the sink', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 4 * MIB, 64 * KIB)
    const { client, servers } = await network([store])
    client.blocks.beforePut = async () => {
      if (client.blocks.puts > 20) throw new Error('the disk is full')
    }
    const fetch = client.content.fetchDag(root, options(client, servers))
    await expect(fetch.done).rejects.toThrow('the disk is full')
  })

  it('comes when the node stops', async () => {
    const { client, servers } = await network([new MemoryBlocks()])
    servers[0]!.blocks.beforeGet = () => new Promise(() => {})
    const fetch = client.content.fetchDag(rawCid(Buffer.from('x')), options(client, servers))
    await until(() => servers[0]!.blocks.gets > 0)
    await client.libp2p.stop()
    await expect(fetch.done).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
  })
})

describe('a slow sink', () => {
  it('holds the sources back, and memory stays bounded', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 96 * MIB, 1 * MIB)
    const { client, servers } = await network([store])
    let open = true
    const gate: (() => void)[] = []
    client.blocks.beforePut = () => (open ? Promise.resolve() : new Promise((resolve) => gate.push(resolve)))
    open = false
    const fetch = client.content.fetchDag(root, options(client, servers))
    // The bound on pending puts, the window that was granted beyond it, and one block.
    const most = 32 + 8 + 2
    await until(() => gate.length >= 33)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(gate.length).toBeLessThanOrEqual(most)
    expect(servers[0]!.content.statistics().servedBytes).toBeLessThanOrEqual(most * MIB)
    open = true
    for (const go of gate) go()
    await fetch.done
    expect(client.blocks.size).toBe(store.size)
  })
})

describe('need', () => {
  it('brings a block ahead of its turn', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 64 * MIB, 256 * KIB)
    const last = store.cids.filter((cid) => cid.code === 0x55).at(-1)!
    const { client, servers } = await network([store])
    const fetch = client.content.fetchDag(root, options(client, servers))
    await until(() => fetch.statistics.blocks >= 20)
    const bytes = await fetch.need(last, AbortSignal.timeout(10_000))
    expect(Buffer.from(bytes).equals(store.peek(last)!)).toBe(true)
    expect(fetch.statistics.blocks).toBeLessThan(store.size)
    await fetch.done
    expect(served(servers)).toBe(store.size)
  })

  it('brings a block that the fetch does not know', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 4 * MIB, 64 * KIB)
    const extra = randomBytes(100)
    store.add(rawCid(extra), extra)
    const { client, servers } = await network([store])
    const fetch = client.content.fetchDag(root, options(client, servers))
    const signal = AbortSignal.timeout(10_000)
    const bytes = await fetch.need(rawCid(extra), signal)
    expect(Buffer.from(bytes)).toEqual(extra)
    await fetch.done
    await expect(fetch.need(rawCid(Buffer.from('nobody has this')), signal)).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    })
  })

  it('rejects when the fetch fails', async () => {
    const { client, servers } = await network([new MemoryBlocks()])
    const cid = rawCid(Buffer.from('x'))
    const fetch = client.content.fetchDag(cid, options(client, servers))
    await expect(fetch.need(cid, AbortSignal.timeout(10_000))).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    })
  })
})

describe('single blocks', () => {
  it('come from the first peer that has them', async () => {
    const store = new MemoryBlocks()
    const bytes = randomBytes(100 * KIB)
    store.add(rawCid(bytes), bytes)
    const { client, servers } = await network([new MemoryBlocks(), store])
    await until(() => client.content.peers().length === 2)
    const block = await client.content.fetchBlock(rawCid(bytes), { signal: AbortSignal.timeout(10_000) })
    expect(bytes.equals(block.bytes)).toBe(true)
    expect(block.peer.equals(servers[1]!.peerId)).toBe(true)
    const many = Array.from({ length: 100 }, () =>
      client.content.fetchBlock(rawCid(bytes), {
        peers: [servers[1]!.peerId],
        signal: AbortSignal.timeout(10_000),
      }),
    )
    await Promise.all(many)
    expect(client.content.statistics().outboundStreams).toBe(2)
  })

  it('are ERR_NOT_FOUND where nobody has them', async () => {
    const { client } = await network([new MemoryBlocks(), new MemoryBlocks()])
    await until(() => client.content.peers().length === 2)
    const asked = client.content.fetchBlock(rawCid(Buffer.from('x')), { signal: AbortSignal.timeout(10_000) })
    await expect(asked).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })
})

describe('policy', () => {
  it('keeps a refused client from everything, and others from nothing', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 1 * MIB, 64 * KIB)
    const { client, servers } = await network([store])
    const other = await node()
    await connect(other.libp2p, servers[0]!.libp2p)
    const refused = client.peerId.toString()
    servers[0]!.trust.deny = (peer, action) => action === 'serve-content' && peer === refused
    const fetch = client.content.fetchDag(root, options(client, servers))
    await expect(fetch.done).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    expect(store.gets).toBe(0)
    await other.content.fetchDag(root, options(other, servers)).done
    expect(other.blocks.size).toBe(store.size)
  })

  it('keeps single CIDs back', async () => {
    const store = new MemoryBlocks()
    const bytes = Buffer.from('secret')
    store.add(rawCid(bytes), bytes)
    const { client, servers } = await network([store])
    servers[0]!.trust.deny = (_peer, _action, cid) => cid === rawCid(bytes).toString()
    const asked = client.content.fetchBlock(rawCid(bytes), {
      peers: [servers[0]!.peerId],
      signal: AbortSignal.timeout(10_000),
    })
    await expect(asked).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })

  it('does not ask a peer that may not be asked', async () => {
    const store = new MemoryBlocks()
    const { root } = await importRandomFile(store, 1 * MIB, 64 * KIB)
    const { client, servers } = await network([store])
    client.trust.deny = (_peer, action) => action === 'fetch'
    await expect(client.content.fetchDag(root, options(client, servers)).done).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    })
    expect(servers[0]!.content.statistics().inboundStreams).toBe(0)
  })
})
