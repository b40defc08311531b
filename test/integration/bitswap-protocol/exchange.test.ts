import { randomBytes } from 'node:crypto'
import type { CID } from 'multiformats/cid'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type BitswapNode,
  blocksOf,
  presencesOf,
  type ScriptedPeer,
  startBitswapNode,
  startScripted,
  wantOf,
} from '../../support/bitswap.ts'
import { connect, rawCid, until } from '../../support/content-protocol.ts'

const MIB = 1024 * 1024
const running: { stop(): Promise<unknown> }[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()))
})
async function started<Node extends { stop(): Promise<unknown> }>(starting: Promise<Node>): Promise<Node> {
  const node = await starting
  running.push(node)
  return node
}
const start = (options?: Parameters<typeof startBitswapNode>[0]): Promise<BitswapNode> =>
  started(startBitswapNode(options))
const script = (options?: Parameters<typeof startScripted>[0]): Promise<ScriptedPeer> =>
  started(startScripted(options))
const signal = AbortSignal.timeout(60_000)
const isQuiet = ({ bitswap }: BitswapNode): boolean => {
  const { ownWants, answersInMemory, inboundBytes } = bitswap.statistics()
  return ownWants === 0 && answersInMemory === 0 && inboundBytes === 0
}

describe('what others want', () => {
  it('is sent: more than is ever in memory, to one that wants all of it at once', async () => {
    const [server, client] = [await start(), await start()]
    const cids: CID[] = []
    for (let index = 0; index < 40; index += 1) cids.push(await server.blocks.add(randomBytes(MIB)))
    await connect(client.libp2p, server.libp2p)
    let mostAnswers = 0
    const blocks = await Promise.all(
      cids.map(async (cid) => {
        const bytes = await client.bitswap.want(cid, { signal })
        mostAnswers = Math.max(mostAnswers, server.bitswap.statistics().answersInMemory)
        return rawCid(bytes)
      }),
    )
    expect(blocks.map(String)).toEqual(cids.map(String))
    expect(mostAnswers).toBe(1)
    expect(server.blocks.gets).toBe(40)
    expect(server.bitswap.statistics()).toMatchObject({ sentBlocks: 40, sentBytes: 40 * MIB })
    expect(client.bitswap.statistics()).toMatchObject({ receivedBlocks: 40, unwantedBytes: 0, ownWants: 0 })
    await until(() => isQuiet(server) && isQuiet(client))
    await until(() => server.bitswap.statistics().peerWants === 0)
    expect(client.trust.of('transfer-served').length).toBeGreaterThan(0)
    expect(server.trust.evidence).toEqual([])
  })

  it('is not loaded for one that takes nothing, however much it wants', async () => {
    const server = await start()
    const cids: CID[] = []
    for (let index = 0; index < 12; index += 1) cids.push(await server.blocks.add(randomBytes(2 * MIB)))
    const [deaf, other] = [await script({ reads: false }), await start()]
    await deaf.send(server.libp2p, (message) => message.wants(cids.map((cid) => wantOf(cid))))
    await until(() => deaf.inbound.length > 0)
    await connect(other.libp2p, server.libp2p)
    // Somebody else is served meanwhile.
    for (const cid of cids.slice(0, 5)) await other.bitswap.want(cid, { signal })
    expect(server.blocks.gets).toBeLessThanOrEqual(5 + 4)
    expect(server.bitswap.statistics()).toMatchObject({ answersInMemory: 1 })
    // More wants are kept up to a bound.
    await deaf.send(server.libp2p, (message) => message.wants(nothing(20_000).map((cid) => wantOf(cid))))
    await until(() => server.trust.of('limit-exceeded').length > 0)
    expect(server.trust.of('limit-exceeded')[0]?.detail).toEqual({ protocol: 'bitswap', limit: 'wants' })
    expect(server.bitswap.statistics().peerWants).toBeLessThanOrEqual(8_192)
    // And is forgotten with its wants when it leaves.
    await deaf.stop()
    await until(() => server.bitswap.statistics().peerWants === 0 && isQuiet(server))
  })

  it('is said to be here or not, small blocks sent at once, and what comes later is sent then', async () => {
    const server = await start()
    const [large, small] = [
      await server.blocks.add(randomBytes(2_000)),
      await server.blocks.add(randomBytes(20)),
    ]
    const later = randomBytes(2_000)
    const unwanted = rawCid(randomBytes(3))
    const asker = await script()
    await asker.send(server.libp2p, (message) =>
      message.wants([
        wantOf(large, { wantsBlock: false }),
        wantOf(small, { wantsBlock: false }),
        wantOf(rawCid(later)),
        wantOf(unwanted),
      ]),
    )
    await until(() => asker.received.length === 4)
    expect(presencesOf(asker)).toEqual(
      expect.arrayContaining([
        [large.toString(), true],
        [rawCid(later).toString(), false],
        [unwanted.toString(), false],
      ]),
    )
    expect(blocksOf(asker)).toEqual([server.blocks.map.get(keyOf(small))?.bytes].map((b) => Buffer.from(b!)))
    // Both are kept, until one is taken back.
    expect(server.bitswap.statistics().peerWants).toBe(2)
    await asker.send(server.libp2p, (message) => message.wants([wantOf(unwanted, { isCancel: true })]))
    await until(() => server.bitswap.statistics().peerWants === 1)
    await server.blocks.add(later)
    await until(() => blocksOf(asker).length === 2)
    expect(blocksOf(asker)[1]).toEqual(Buffer.from(later))
    expect(server.bitswap.statistics().peerWants).toBe(0)
  })

  it('is as if it were not here where it is private or denied', async () => {
    const secret = randomBytes(500)
    const server = await start({ isPrivate: (cid) => cid.equals(rawCid(secret)) })
    const denied = await server.blocks.add(randomBytes(500))
    await server.blocks.add(secret)
    server.trust.deny = (_, action, cid) => action === 'serve-bitswap' && cid === denied.toString()
    const asker = await script()
    await asker.send(server.libp2p, (message) =>
      message.wants([
        wantOf(rawCid(secret)),
        wantOf(denied, { wantsBlock: false }),
        wantOf(rawCid(randomBytes(3))),
      ]),
    )
    await until(() => asker.received.length === 3)
    expect(presencesOf(asker).map(([, isHeld]) => isHeld)).toEqual([false, false, false])
    expect(server.blocks.gets).toBe(0)
    // Nor does anything tell that it is put.
    await server.blocks.put(rawCid(secret), secret)
    const open = await server.blocks.add(randomBytes(5))
    await asker.send(server.libp2p, (message) => message.wants([wantOf(open)]))
    await until(() => blocksOf(asker).length === 1)
    expect(asker.received).toHaveLength(4)
  })

  it('is remembered up to a bound where it is not here, and each is told so', async () => {
    const server = await start()
    const here = await server.blocks.add(randomBytes(100))
    const asker = await script()
    const nowhere = nothing(20_000).map((cid) => wantOf(cid))
    await asker.send(server.libp2p, (message) => message.wants(nowhere))
    await until(() => presencesOf(asker).length === 20_000)
    expect(server.bitswap.statistics().peerWants).toBe(1_024)
    await asker.send(server.libp2p, (message) => message.wants([wantOf(here)]))
    await until(() => blocksOf(asker).length === 1)
  })
})

describe('what this node wants', () => {
  it('is had from several who have it, each block once', async () => {
    const [client, ...seeds] = await Promise.all([start(), start(), start(), start()])
    const cids: CID[] = []
    for (let index = 0; index < 60; index += 1) {
      const bytes = randomBytes(100_000)
      for (const seed of seeds) await seed.blocks.add(bytes)
      cids.push(rawCid(bytes))
    }
    for (const seed of seeds) await connect(client.libp2p, seed.libp2p)
    await until(() => client.libp2p.getPeers().length === 3)
    for (let at = 0; at < cids.length; at += 20)
      await Promise.all(cids.slice(at, at + 20).map((cid) => client.bitswap.want(cid, { signal })))
    const sent = seeds.map(({ bitswap }) => bitswap.statistics().sentBlocks)
    expect(sent.reduce((sum, blocks) => sum + blocks, 0)).toBe(60)
    expect(Math.min(...sent)).toBeGreaterThan(0)
    expect(client.bitswap.statistics().unwantedBytes).toBe(0)
    expect(client.searched).toEqual([])
  })

  it('is had from another where one says that it has it and is silent, lies, or leaves', async () => {
    const bytes = randomBytes(5_000)
    const cid = rawCid(bytes)
    const [client, honest] = [await start(), await start()]
    const liar = await script({
      onPart: (part, peer) => {
        if (part.kind !== 'want' || part.isCancel) return
        void peer.send(client.libp2p, (message) => {
          if (part.wantsBlock) message.block(part.cid, randomBytes(5_000))
          else message.presence(part.cid, true)
        })
      },
    })
    const leaver = await script({
      onPart: (part, peer) => {
        if (part.kind === 'want') void peer.libp2p.hangUp(client.libp2p.peerId)
      },
    })
    await connect(client.libp2p, liar.libp2p)
    await connect(client.libp2p, leaver.libp2p)
    const wanted = client.bitswap.want(cid, { signal })
    await until(() => client.bitswap.statistics().unwantedBytes >= 5_000)
    await connect(client.libp2p, honest.libp2p)
    await honest.blocks.add(bytes)
    expect(Buffer.from(await wanted)).toEqual(bytes)
    await until(() => isQuiet(client))
    // Everybody hears that it is not wanted any more.
    await until(() => liar.received.some((part) => part.kind === 'want' && part.isCancel))
  })

  it('is looked for where nobody connected has it, and asked of whoever is found', async () => {
    const holder = await start()
    const cid = await holder.blocks.add(randomBytes(3_000))
    const client = await start({ providers: () => [{ id: holder.libp2p.peerId }] })
    await client.libp2p.peerStore.merge(holder.libp2p.peerId, { multiaddrs: holder.libp2p.getMultiaddrs() })
    const several = await Promise.all([1, 2, 3].map(() => client.bitswap.want(cid, { signal })))
    expect(several.map((bytes) => rawCid(bytes).toString())).toEqual([1, 2, 3].map(() => cid.toString()))
    expect(client.searched).toEqual([cid.toString()])
    expect(holder.bitswap.statistics().sentBlocks).toBe(1)
  })

  it('is given up with its caller, one by one, and by a node that stops', async () => {
    const [client, asked] = [await start(), await script()]
    await connect(client.libp2p, asked.libp2p)
    const cid = rawCid(randomBytes(9))
    const [first, second] = [new AbortController(), new AbortController()]
    const wants = [first, second].map((one) => client.bitswap.want(cid, { signal: one.signal }))
    await until(() => asked.received.length === 1)
    first.abort(new Error('enough'))
    await expect(wants[0]).rejects.toThrow('enough')
    expect(client.bitswap.statistics().ownWants).toBe(1)
    second.abort(new Error('enough of it'))
    await expect(wants[1]).rejects.toThrow('enough of it')
    expect(client.bitswap.statistics().ownWants).toBe(0)
    await until(() => asked.received.some((part) => part.kind === 'want' && part.isCancel))

    const last = client.bitswap.want(rawCid(randomBytes(9)), { signal })
    await Promise.all([expect(last).rejects.toThrow('the node stops'), client.bitswap.stop()])
    await expect(client.bitswap.want(cid, { signal })).rejects.toMatchObject({ code: 'ERR_BITSWAP_STOPPED' })
    await client.bitswap.start()
    await client.bitswap.start()
    expect(client.bitswap.statistics().ownWants).toBe(0)
  })

  it('is not asked of whom trust denies, nor said where it has become private', async () => {
    const secret = rawCid(randomBytes(10))
    let isSecret = false
    const client = await start({ isPrivate: (cid) => isSecret && cid.equals(secret) })
    const [denied, other] = [await script(), await script()]
    client.trust.deny = (peer, action) => action === 'fetch' && peer === denied.libp2p.peerId.toString()
    await connect(client.libp2p, denied.libp2p)
    await connect(client.libp2p, other.libp2p)
    isSecret = true
    const soon = AbortSignal.timeout(700)
    const [open, hidden] = [rawCid(randomBytes(10)), secret].map((cid) =>
      expect(client.bitswap.want(cid, { signal: soon })).rejects.toThrow(),
    )
    await Promise.all([open, hidden])
    const asked = other.received.flatMap((part) => (part.kind === 'want' ? [part.cid.toString()] : []))
    expect(asked.length).toBeGreaterThan(0)
    expect(asked).not.toContain(secret.toString())
    expect(denied.received).toEqual([])
    expect(client.searched).not.toContain(secret.toString())
  })
})

describe('a peer that sends', () => {
  it('garbage, too long a message, or half of one is cut off, and that is said', async () => {
    const [node, peer] = [await start(), await script()]
    const garbage = await peer.sendBytes(node.libp2p, Buffer.from('05ffffffffff', 'hex'))
    await until(() => garbage.status !== 'open')
    const oversize = await peer.sendBytes(node.libp2p, Buffer.from('81808002', 'hex'))
    await until(() => oversize.status !== 'open')
    expect(node.trust.of('protocol-violation').map(({ detail }) => detail)).toEqual([
      { protocol: 'bitswap', rule: 'malformed-message' },
      { protocol: 'bitswap', rule: 'oversize-message' },
    ])
    // Half of one, and an end: nobody's fault.
    const half = await peer.sendBytes(node.libp2p, Buffer.from('7fffff', 'hex'))
    await until(() => node.bitswap.statistics().inboundBytes === 3)
    await half.close()
    await until(() => node.bitswap.statistics().inboundBytes === 0)
    expect(node.trust.evidence).toHaveLength(2)
  })

  it('many messages that never end has no more of them kept than two', async () => {
    const [node, peer] = [await start(), await script()]
    const begun = Buffer.concat([Buffer.from('80808002', 'hex'), Buffer.alloc(3 * MIB)])
    const streams = await Promise.all(
      Array.from({ length: 6 }, () => peer.sendBytes(node.libp2p, begun).catch(() => undefined)),
    )
    await until(() => streams.filter((stream) => stream?.status === 'open').length <= 2)
    expect(node.bitswap.statistics().inboundBytes).toBeLessThanOrEqual(9 * MIB)
    expect(node.trust.of('limit-exceeded').map(({ detail }) => detail['limit'])).toContain('inbound-bytes')
  })

  it('blocks that nobody asked for has them dropped unseen', async () => {
    const [node, peer] = [await start(), await script()]
    for (let index = 0; index < 9; index += 1) {
      await peer.send(node.libp2p, (message) => {
        const bytes = randomBytes(2 * MIB - 100)
        message.block(rawCid(bytes), bytes)
        message.presence(rawCid(bytes), true)
      })
    }
    await until(() => node.trust.of('limit-exceeded').length > 0)
    expect(node.trust.of('limit-exceeded')[0]?.detail).toEqual({ protocol: 'bitswap', limit: 'unwanted' })
    expect(node.bitswap.statistics().receivedBlocks).toBe(0)
  })
})

function nothing(count: number): CID[] {
  return Array.from({ length: count }, (_, index) => rawCid(Buffer.from(`nothing ${index}`)))
}

function keyOf(cid: CID): string {
  return Buffer.from(cid.multihash.bytes).toString('hex')
}
