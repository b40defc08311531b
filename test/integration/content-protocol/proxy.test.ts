import { randomBytes } from 'node:crypto'
import type { Libp2p } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { afterEach, describe, expect, it } from 'vitest'
import { MAX_PROXIED_BLOCKS_PER_PEER, MAX_PROXY_CIDS } from '../../../protocols/content/limits.ts'
import { encode, type FromClient } from '../../../protocols/content/messages.ts'
import type { ProxyServer } from '../../../protocols/content/types.ts'
import { Status } from '../../../protocols/shared/status.ts'
import {
  blockFrames,
  connect,
  MemoryBlocks,
  rawCid,
  rawClient,
  scriptServer,
  startBareNode,
  startNode,
  type TestNode,
  until,
} from '../../support/content-protocol.ts'

const running: (TestNode | Libp2p)[] = []
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop()
})

/** Brings from a store of its own, one at a time where it is told to. */
class Upstream implements ProxyServer {
  readonly blocks = new MemoryBlocks()
  readonly asked: string[] = []
  admitted = true
  hold: Promise<void> | undefined
  underWay = 0
  most = 0

  admits(): boolean {
    return this.admitted
  }

  async fetch(_peer: string, cid: CID, { signal }: { signal: AbortSignal }): Promise<Uint8Array | undefined> {
    this.asked.push(cid.toString())
    this.underWay += 1
    this.most = Math.max(this.most, this.underWay)
    await this.hold
    this.underWay -= 1
    signal.throwIfAborted()
    return this.blocks.get(cid)
  }

  add(bytes: Uint8Array): CID {
    const cid = rawCid(bytes)
    this.blocks.add(cid, bytes)
    return cid
  }
}

async function house(isPrivate?: (cid: CID) => boolean) {
  const upstream = new Upstream()
  const proxy = await startNode({
    proxy: upstream,
    ...(isPrivate === undefined ? {} : { isPrivate }),
  })
  const asker = await startNode()
  running.push(proxy, asker)
  await connect(asker.libp2p, proxy.libp2p)
  await until(() => asker.content.proxies().length === 1)
  const fetch = (cid: CID, root = cid, signal = AbortSignal.timeout(10_000)): Promise<Uint8Array> =>
    asker.content.fetchByProxy(cid, { peer: proxy.peerId, root, signal })
  return { upstream, proxy, asker, fetch }
}

describe('a block by proxy', () => {
  it('comes from elsewhere, or from the store where it is held', async () => {
    const { upstream, proxy, fetch } = await house()
    const bytes = randomBytes(1_500_000)
    expect(Buffer.from(await fetch(upstream.add(bytes))).equals(bytes)).toBe(true)
    const held = randomBytes(100)
    proxy.blocks.add(rawCid(held), held)
    expect(Buffer.from(await fetch(rawCid(held))).equals(held)).toBe(true)
    expect(upstream.asked).toHaveLength(1)
    expect(proxy.blocks.size).toBe(1)
  })

  it('is ERR_NOT_FOUND where nobody has it, ERR_PROXY_REFUSED where the peer will not', async () => {
    const { upstream, fetch } = await house()
    await expect(fetch(rawCid(randomBytes(9)))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    upstream.admitted = false
    await expect(fetch(upstream.add(randomBytes(9)))).rejects.toMatchObject({ code: 'ERR_PROXY_REFUSED' })
    expect(upstream.asked).toHaveLength(1)
  })

  it('is refused by a node that fetches for nobody', async () => {
    const [plain, asker] = [await startNode(), await startNode()]
    running.push(plain, asker)
    await connect(asker.libp2p, plain.libp2p)
    const cid = rawCid(randomBytes(9))
    const signal = AbortSignal.timeout(10_000)
    const asking = asker.content.fetchByProxy(cid, { peer: plain.peerId, root: cid, signal })
    await expect(asking).rejects.toMatchObject({ code: 'ERR_PROXY_REFUSED' })
    expect(plain.trust.of('protocol-violation')).toEqual([])
  })

  it('is not looked for where it, or its DAG, is private', async () => {
    const secret = rawCid(Buffer.from('secret'))
    const { upstream, proxy, fetch } = await house((cid) => cid.equals(secret))
    proxy.blocks.add(secret, Buffer.from('secret'))
    await expect(fetch(secret)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    await expect(fetch(upstream.add(randomBytes(9)), secret)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    expect(upstream.asked).toEqual([])
  })

  it('does not wait for one that takes long', async () => {
    const { upstream, fetch } = await house()
    const gate = Promise.withResolvers<void>()
    upstream.hold = gate.promise
    const slow = fetch(upstream.add(randomBytes(50)))
    await until(() => upstream.underWay === 1)
    upstream.hold = undefined
    await fetch(upstream.add(randomBytes(60)))
    gate.resolve()
    await slow
  })

  it('can be called off', async () => {
    const { upstream, fetch } = await house()
    const gate = Promise.withResolvers<void>()
    upstream.hold = gate.promise
    const cancel = new AbortController()
    const cid = upstream.add(randomBytes(50))
    const called = fetch(cid, cid, cancel.signal)
    await until(() => upstream.underWay === 1)
    cancel.abort()
    await expect(called).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
    gate.resolve()
    await fetch(upstream.add(randomBytes(60)))
  })
})

describe('a client that asks too much', () => {
  it('has so many under way and no more, and others are served meanwhile', async () => {
    const { upstream, proxy, asker } = await house()
    const gate = Promise.withResolvers<void>()
    upstream.hold = gate.promise
    const bare = await startBareNode()
    running.push(bare)
    const client = await rawClient(bare, proxy)
    const cids = Array.from({ length: MAX_PROXY_CIDS }, () => upstream.add(randomBytes(20)))
    const root = rawCid(randomBytes(3))
    client.send(encode.credit(1_000_000))
    for (let id = 1; id <= 20; id += 1) client.send(encode.want({ kind: 'cids', id, cids, proxyFor: root }))
    await until(() => upstream.underWay === MAX_PROXIED_BLOCKS_PER_PEER)
    const held = randomBytes(100)
    proxy.blocks.add(rawCid(held), held)
    await asker.content.fetchBlock(rawCid(held), { signal: AbortSignal.timeout(5_000) })
    expect(upstream.most).toBe(MAX_PROXIED_BLOCKS_PER_PEER)
    gate.resolve()
    await until(() => client.messages.filter(({ kind }) => kind === 'done').length === 20)
    expect(client.blocks.length).toBe(20 * MAX_PROXY_CIDS)
    expect(upstream.most).toBe(MAX_PROXIED_BLOCKS_PER_PEER)
  })

  it('is answered that a Proxy of nothing is invalid, and cut off with one of too much', async () => {
    const { upstream, proxy } = await house()
    const bare = await startBareNode()
    running.push(bare)
    const client = await rawClient(bare, proxy)
    const root = rawCid(randomBytes(3))
    client.send(encode.want({ kind: 'cids', id: 1, cids: [], proxyFor: root }))
    await until(() => client.messages.length === 1)
    expect(client.messages[0]).toMatchObject({ kind: 'done', want: 1, reason: Status.invalid })
    const cids = Array.from({ length: MAX_PROXY_CIDS + 1 }, () => root)
    client.send(encode.want({ kind: 'cids', id: 2, cids, proxyFor: root }))
    await until(() => client.isClosed)
    expect(proxy.trust.of('protocol-violation')).toMatchObject([{ detail: { rule: 'oversize-list' } }])
    expect(upstream.asked).toEqual([])
  })

  it('leaves nothing behind when it goes in the middle', async () => {
    const { upstream, proxy, fetch } = await house()
    const gate = Promise.withResolvers<void>()
    upstream.hold = gate.promise
    const bare = await startBareNode()
    running.push(bare)
    const client = await rawClient(bare, proxy)
    const cids = Array.from({ length: 8 }, () => upstream.add(randomBytes(20)))
    client.send(encode.want({ kind: 'cids', id: 1, cids, proxyFor: cids[0]! }))
    await until(() => upstream.underWay === 8)
    client.stream.abort(new Error('gone'))
    gate.resolve()
    await until(() => proxy.content.statistics().inboundStreams === 0)
    upstream.hold = undefined
    await fetch(upstream.add(randomBytes(60)))
  })
})

describe('a proxy that lies', () => {
  async function scripted(onMessage: Parameters<typeof scriptServer>[1]) {
    const [bare, asker] = [await startBareNode(), await startNode()]
    running.push(bare, asker)
    await scriptServer(bare, onMessage)
    await connect(asker.libp2p, bare)
    await until(() => asker.content.proxies().length === 1)
    const cid = rawCid(randomBytes(70))
    const asking = asker.content.fetchByProxy(cid, {
      peer: bare.peerId,
      root: cid,
      signal: AbortSignal.timeout(10_000),
    })
    return { asker, asking }
  }
  const isProxy = (message: FromClient): message is Extract<FromClient, { kind: 'cids' }> =>
    message.kind === 'cids' && message.proxyFor !== undefined

  it('is found out by the bytes', async () => {
    const { asker, asking } = await scripted((message, peer) => {
      if (isProxy(message)) peer.send(blockFrames(message.id, { index: 0 }, randomBytes(70)))
    })
    await expect(asking).rejects.toMatchObject({ code: 'ERR_BLOCK_INVALID' })
    expect(asker.trust.of('block-invalid')).toHaveLength(1)
  })

  it('is left with garbage and with blocks that nobody asked for', async () => {
    for (const answer of [
      (): Uint8Array => Buffer.from('03ffffff', 'hex'),
      (id: number): Uint8Array => blockFrames(id, { index: 5 }, randomBytes(70)),
      (id: number): Uint8Array => encode.mark(id + 9, true),
    ]) {
      const { asker, asking } = await scripted((message, peer) => {
        if (isProxy(message)) peer.send(answer(message.id))
      })
      await expect(asking).rejects.toThrow()
      expect(asker.trust.of('protocol-violation')).toHaveLength(1)
    }
  })
})

describe('private blocks', () => {
  it('go to clients that keep the mark, in one answer with others, and to no other', async () => {
    const [open, secret] = [randomBytes(300), randomBytes(400)]
    const server = await startNode({ isPrivate: (cid) => cid.equals(rawCid(secret)) })
    const bare = await startBareNode()
    running.push(server, bare)
    for (const bytes of [open, secret]) server.blocks.add(rawCid(bytes), bytes)
    const cids = [rawCid(open), rawCid(secret), rawCid(open)]
    const client = await rawClient(bare, server)
    client.send(encode.credit(1_000_000))
    client.send(encode.want({ kind: 'cids', id: 1, cids: cids.slice(0, 2) }))
    await until(() => client.messages.some(({ kind }) => kind === 'done'))
    expect(client.blocks).toHaveLength(1)
    expect(client.messages.map(({ kind }) => kind)).toEqual(['missing', 'done'])
    const missing = client.messages.flatMap((message) => (message.kind === 'missing' ? message.cids : []))
    expect(missing.map(String)).toEqual([rawCid(secret).toString()])
    client.messages.length = 0
    client.send(encode.want({ kind: 'cids', id: 2, cids, keepsMarks: true }))
    await until(() => client.messages.some(({ kind }) => kind === 'done'))
    expect(client.blocks).toHaveLength(4)
    const marks = client.messages.filter(({ kind }) => kind === 'mark')
    expect(marks).toMatchObject([{ private: true }, { private: false }])
  })

  it('come with the mark to whoever fetches', async () => {
    const secret = randomBytes(400)
    const server = await startNode({ isPrivate: () => true })
    const asker = await startNode()
    running.push(server, asker)
    server.blocks.add(rawCid(secret), secret)
    await connect(asker.libp2p, server.libp2p)
    await until(() => asker.content.peers().length === 1)
    const signal = AbortSignal.timeout(10_000)
    expect(await asker.content.fetchBlock(rawCid(secret), { signal })).toMatchObject({ isPrivate: true })
    const puts: unknown[] = []
    const fetch = asker.content.fetchDag(rawCid(secret), {
      scope: 'all',
      sources: [server.peerId],
      held: asker.blocks,
      sink: {
        put: async (cid, bytes, options) => {
          puts.push(options.private)
          await asker.blocks.put(cid, bytes)
        },
      },
      signal,
    })
    await fetch.done
    expect(puts).toEqual([true])
  })
})
