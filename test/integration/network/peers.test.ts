import { ping } from '@libp2p/ping'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p, StreamMuxer } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { afterEach, describe, expect, it } from 'vitest'
import { endNode } from '../../support/end-node.ts'
import type { TestNode, TestNodeOptions } from '../../support/network.ts'
import { eventually, startTestNode, stopAll } from '../../support/network.ts'

const SOON = (): AbortSignal => AbortSignal.timeout(15_000)

let nodes: TestNode[] = []
let bare: Libp2p[] = []
afterEach(async () => {
  await Promise.all(bare.map(endNode))
  bare = []
  await stopAll(nodes)
  nodes = []
})

async function start(options?: TestNodeOptions): Promise<TestNode> {
  const node = await startTestNode(options)
  nodes.push(node)
  return node
}

/** Stops a node and starts it anew with its key, its folder, and these settings. */
async function restart(node: TestNode, network: TestNodeOptions['network']): Promise<TestNode> {
  nodes = nodes.filter((other) => other !== node)
  await node.stop({ keepHome: true })
  return start({ home: node.home, privateKey: node.privateKey, network: { ...network } })
}

/** A peer that keeps no rules: libp2p without any of ours. */
async function stranger(): Promise<Libp2p> {
  const node = await createLibp2p({
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ maxOutboundStreams: 100_000, maxInboundStreams: 1_000 })],
    services: { identify: identify(), ping: ping() },
    connectionManager: { reconnectRetries: 0 },
  })
  bare.push(node)
  return node
}

const peersOf = (node: TestNode): string[] => node.network.peers().map(({ peer }) => peer)
const dial = (from: Libp2p, to: TestNode): Promise<unknown> =>
  from.dial(multiaddr(to.address), { signal: SOON() })

describe('a node that looks for peers', () => {
  it('finds those of before again after a restart, without a bootstrap list, and at other ports too', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    await a.network.connect(b.address, SOON())
    await c.network.connect(a.address, SOON())
    await eventually('each knows where the others are', () =>
      [b, c].every(({ peer }) => (a.peers.history.get(peer)?.addresses.length ?? 0) > 0),
    )
    const again = await restart(a, { minConnections: 2 })
    await eventually('both are back', () => again.network.peerCount() === 2)
    expect(peersOf(again).toSorted()).toEqual([b.peer, c.peer].toSorted())
    expect(again.network.peers().find(({ peer }) => peer === b.peer)).toMatchObject({ connections: 2 })
  }, 20_000)

  it('goes through the DHT for further ones, and stops at the minimum', async () => {
    const hub = await start()
    const others = [await start(), await start(), await start(), await start()]
    for (const other of others) await other.network.connect(hub.address, SOON())
    await eventually('the hub knows them', () => hub.libp2p.services.dht.getMode() === 'server')
    const seeker = await start({ network: { minConnections: 3, bootstrap: [hub.address] } })
    await eventually('three are connected', () => seeker.network.peerCount() >= 3, 40_000)
  }, 60_000)

  it('counts whom it could not reach, and shows who is away', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    await a.network.connect(b.address, SOON())
    await a.network.connect(c.address, SOON())
    await eventually('where c is, is known', () => (a.peers.history.get(c.peer)?.addresses.length ?? 0) > 0)
    nodes = nodes.filter((node) => node !== c)
    await c.stop()
    const again = await restart(a, { minConnections: 2 })
    await eventually('c was tried', () => again.peers.history.get(c.peer)?.failures === 1)
    await eventually('b is back', () => again.network.peerCount() === 1)
    expect(again.network.known(10)).toMatchObject([{ peer: c.peer, successes: 1, failuresInRow: 1 }])
  }, 30_000)
})

describe('a node with more peers than it may have', () => {
  it('settles at the maximum of sixty that come, with the better ones kept', async () => {
    const crowd = await Promise.all(Array.from({ length: 60 }, () => stranger()))
    const names = crowd.map(({ peerId }) => peerId.toString())
    const [shielded, moving, holder] = names.slice(57) as [string, string, string]
    const good = new Set(names.slice(30, 57))
    const full = await start({
      network: { maxConnections: 30, peers: { protect: [shielded] } },
      score: (peer) => (good.has(peer) ? 0.8 : 0.4),
      isNeeded: (peer) => peer === holder,
    })
    // The worse half comes first, and has all the places.
    for (const node of crowd.slice(0, 30)) await dial(node, full)
    await eventually('all places are taken', () => full.network.peerCount() === 30)
    const better = [...good, shielded, moving, holder].toSorted()
    await eventually(
      'the better half is there',
      async () => {
        full.peers.traffic.moved(moving, 1)
        const there = new Set(peersOf(full))
        // Who found a busy machine comes again, as peers do.
        const away = crowd.slice(30).filter(({ peerId }) => !there.has(peerId.toString()))
        await Promise.allSettled(away.map((node) => dial(node, full)))
        return peersOf(full).toSorted().join() === better.join()
      },
      45_000,
    )
    expect(full.libp2p.getConnections()).toHaveLength(30)
    expect(await full.registry.metrics()).toMatch(/p2pnode_connections_evicted_total [3-9]\d/)
    // Who was given up comes back, and finds no place.
    await Promise.allSettled(crowd.slice(0, 10).map((node) => dial(node, full)))
    expect(peersOf(full).toSorted()).toEqual(better)
  }, 60_000)
})

describe('a peer that floods', () => {
  it('with streams is cut off and kept out for a while; others notice nothing', async () => {
    const node = await start()
    const [flooder, other] = [await stranger(), await stranger()]
    await Promise.all([dial(flooder, node), dial(other, node)])
    const [connection] = flooder.getConnections() as (Connection & { muxer?: StreamMuxer })[]
    // Ahead of any protocol: a stream that ends before it is known what it is for.
    const flood = async (): Promise<void> => {
      for (let opened = 1; connection?.status === 'open'; opened++) {
        const stream = await connection.muxer?.createStream({ signal: SOON() })
        stream?.abort(new Error('enough'))
        // Opening is all microtasks: without a turn of the loop nothing would ever be sent, nor an end be seen.
        if (opened % 64 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
    }
    // Ends when it is cut off, and not before.
    await flood().catch(() => {})
    await eventually('it is cut off', () => connection?.status !== 'open')
    expect(node.trust.evidence({ peer: flooder.peerId.toString() }).evidence).toContainEqual(
      expect.objectContaining({
        kind: 'limit-exceeded',
        detail: { protocol: 'libp2p', limit: 'streams-per-second' },
      }),
    )
    await dial(flooder, node).catch(() => {})
    await eventually('it is not let in again', () => peersOf(node).join() === other.peerId.toString())
    const services = other.services as unknown as { ping: ReturnType<ReturnType<typeof ping>> }
    expect(await services.ping.ping(multiaddr(node.address), { signal: SOON() })).toBeGreaterThanOrEqual(0)
  }, 60_000)

  it('with connections is refused; others get in', async () => {
    const node = await start()
    const flooder = await stranger()
    let admitted = 0
    for (let attempt = 0; attempt < 40; attempt++) {
      const before = node.network.peerCount()
      await dial(flooder, node).catch(() => {})
      if (node.network.peerCount() > before) admitted += 1
      await flooder.hangUp(node.libp2p.peerId)
      await eventually('it has left', () => node.network.peerCount() === 0)
    }
    expect(admitted).toBeLessThanOrEqual(20)
    expect(node.trust.evidence({ peer: flooder.peerId.toString() }).evidence).toContainEqual(
      expect.objectContaining({
        kind: 'limit-exceeded',
        detail: { protocol: 'libp2p', limit: 'connections-per-minute' },
      }),
    )
    const other = await stranger()
    await dial(other, node)
    await eventually('another one is in', () => peersOf(node).join() === other.peerId.toString())
  }, 30_000)
})
