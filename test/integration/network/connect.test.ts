import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { startError } from '../../../src/network/index.ts'
import type { TestNode, TestNodeOptions } from '../../support/network.ts'
import { eventually, startTestNode, stopAll } from '../../support/network.ts'

const SOON = (): AbortSignal => AbortSignal.timeout(10_000)

let nodes: TestNode[] = []
afterEach(async () => {
  await stopAll(nodes)
  nodes = []
})

async function start(options?: TestNodeOptions): Promise<TestNode> {
  const node = await startTestNode(options)
  nodes.push(node)
  return node
}

/** `b` hangs up; `a` notices, and connects again by itself. */
async function isLeftAndComesBack(a: TestNode, b: TestNode): Promise<void> {
  const events: string[] = []
  const end = a.network.onChange(({ type }) => events.push(type))
  await b.libp2p.hangUp(a.libp2p.peerId)
  await eventually('a has come back', () => events.join() === 'disconnected,connected')
  end()
}

describe('connections', () => {
  it('connects two nodes over TCP, Noise and yamux, and tells who they are', async () => {
    const [a, b] = [await start(), await start()]
    const events: string[] = []
    b.network.onChange(({ type, peer }) => events.push(`${type} ${peer}`))

    const summary = await a.network.connect(b.address, SOON())

    expect(summary).toMatchObject({
      peer: b.peer,
      did: b.network.did,
      direction: 'outbound',
      transport: 'tcp',
      limited: false,
      agent: 'p2pnode/0.0.0-test',
      score: 0.5,
    })
    expect(summary.protocols).toContain('/p2pnode/test/kad/1.0.0')
    const [connection] = a.libp2p.getConnections()
    expect(connection?.encryption).toContain('noise')
    expect(connection?.multiplexer).toContain('yamux')
    await eventually('b knows a', () => b.network.peers()[0]?.agent === 'p2pnode/0.0.0-test')
    expect(b.network.peers()[0]).toMatchObject({ peer: a.peer, direction: 'inbound' })
    expect(b.network.peerCount()).toBe(1)

    await a.network.disconnect(b.peer)
    await eventually('b noticed', () => b.network.peerCount() === 0)
    expect(events).toEqual([`connected ${a.peer}`, `disconnected ${a.peer}`])
  })

  it('finds out who answers where the address names nobody', async () => {
    const [a, b] = [await start(), await start()]
    const bare = b.address.slice(0, b.address.indexOf('/p2p/'))
    expect(await a.network.connect(bare, SOON())).toMatchObject({ peer: b.peer })
  })

  it('counts a second connect to the same peer as the first', async () => {
    const [a, b] = [await start(), await start()]
    await a.network.connect(b.address, SOON())
    await a.network.connect(b.address, SOON())
    expect(a.libp2p.getConnections()).toHaveLength(1)
    expect(a.network.peers()).toHaveLength(1)
  })

  it.each([
    ['not a multiaddr', 'ERR_ADDRESS_INVALID', 'usage'],
    ['', 'ERR_ADDRESS_INVALID', 'usage'],
    ['/ip4/127.0.0.1/tcp/99999', 'ERR_ADDRESS_INVALID', 'usage'],
    ['/ip4/127.0.0.1/tcp/4001/p2p/nobody', 'ERR_ADDRESS_INVALID', 'usage'],
    ['/ip4/127.0.0.1/udp/4001/quic-v1/webtransport', 'ERR_TRANSPORT_UNAVAILABLE', 'usage'],
    ['/ip4/127.0.0.1/tcp/1', 'ERR_DIAL_FAILED', 'unavailable'],
  ])('says what is wrong with %j', async (address, code, kind) => {
    const a = await start()
    await expect(a.network.connect(address, SOON())).rejects.toMatchObject({ code, kind })
  })

  it('does not connect to itself, by name or by address alone', async () => {
    const a = await start()
    await expect(a.network.connect(a.address, SOON())).rejects.toMatchObject({ code: 'ERR_ADDRESS_INVALID' })
    const bare = a.address.slice(0, a.address.indexOf('/p2p/'))
    await expect(a.network.connect(bare, SOON())).rejects.toMatchObject({ code: 'ERR_ADDRESS_INVALID' })
  })

  it('refuses another peer than the address names', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    const wrong = b.address.replace(b.peer, c.peer)
    await expect(a.network.connect(wrong, SOON())).rejects.toMatchObject({ code: 'ERR_DIAL_FAILED' })
    expect(a.network.peerCount()).toBe(0)
  })

  it('stops waiting when it is told to', async () => {
    const a = await start()
    const silent = createServer()
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const address = `/ip4/127.0.0.1/tcp/${(silent.address() as AddressInfo).port}`
    const cancel = new AbortController()
    const dial = a.network.connect(address, cancel.signal)
    silent.once('connection', () => cancel.abort())
    await expect(dial).rejects.toMatchObject({ code: 'ERR_CANCELLED', kind: 'cancelled' })
    await expect(a.network.connect(address, AbortSignal.abort())).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    })
    silent.close()
  })

  it('stays disconnected from a peer that was let go, bootstrap or not, until it is named again', async () => {
    const b = await start()
    // As a client of the DHT, a is nobody whom b would dial by itself.
    const a = await start({ network: { bootstrap: [b.address], dht: 'client' } })
    await eventually('a found b', () => a.network.peerCount() === 1)
    await a.libp2p.peerStore.merge(b.libp2p.peerId, { tags: { 'keep-alive-kad-dht': { value: 1 } } })

    await a.network.disconnect(b.network.did)

    // A kept peer is dialled at once, a bootstrap peer after at most 1.25 s.
    await new Promise((resolve) => {
      setTimeout(resolve, 1_500)
    })
    expect(a.network.peerCount()).toBe(0)
    await a.network.connect(b.address, SOON())
    await eventually('b knows a', () => b.network.peerCount() === 1)
    await isLeftAndComesBack(a, b)
  })

  it('names a peer that is not connected when asked to disconnect it', async () => {
    const a = await start()
    await expect(a.network.disconnect('12D3KooWnobody')).rejects.toMatchObject({
      code: 'ERR_PEER_NOT_CONNECTED',
    })
  })

  it('says in one line that a port is taken', async () => {
    const a = await start()
    const taken = a.address.slice(0, a.address.indexOf('/p2p/'))
    const error: unknown = await start({ network: { listen: [taken] } }).catch((error: unknown) =>
      startError(error),
    )
    expect(error).toMatchObject({ code: 'ERR_LISTEN', kind: 'conflict' })
    expect((error as Error).message).toMatch(/127\.0\.0\.1:\d+ is in use by another program/)
  })
})

describe('lists', () => {
  it('refuses a blocked peer both ways, and drops it when it is connected', async () => {
    const [a, b] = [await start(), await start()]
    await a.network.connect(b.address, SOON())

    a.trust.block(b.network.did, 'a test')

    await eventually('both sides let go', () => a.network.peerCount() === 0 && b.network.peerCount() === 0)
    await expect(a.network.connect(b.address, SOON())).rejects.toMatchObject({
      code: 'ERR_DENIED',
      kind: 'denied',
    })
    await expect(b.network.connect(a.address, SOON())).rejects.toMatchObject({
      code: expect.stringMatching(/ERR_DIAL_FAILED|ERR_DENIED/) as string,
    })
    expect(a.network.peerCount()).toBe(0)
    expect(a.trust.denials()).toMatchObject({ dial: { 'deny-list': expect.any(Number) as number } })
    expect(await a.registry.metrics()).toMatch(
      /p2pnode_connections_refused_total\{action="accept",reason="deny-list"\} [1-9]/,
    )

    a.trust.unblock(b.peer)
    expect(await b.network.connect(a.address, SOON())).toMatchObject({ peer: a.peer })
  })

  it('refuses an address range before the handshake', async () => {
    const [a, b] = [await start(), await start()]
    a.trust.block('127.0.0.0/8')
    await expect(b.network.connect(a.address, SOON())).rejects.toMatchObject({ code: 'ERR_DIAL_FAILED' })
    await expect(a.network.connect(b.address, SOON())).rejects.toMatchObject({ code: 'ERR_DENIED' })
    expect(a.network.peerCount()).toBe(0)
  })

  it('admits only its members once there is an allow list', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    await a.network.connect(b.address, SOON())
    await a.network.connect(c.address, SOON())

    a.trust.allow(b.peer)

    await eventually('c is dropped', () => c.network.peerCount() === 0 && a.network.peerCount() === 1)
    await expect(a.network.connect(c.address, SOON())).rejects.toMatchObject({ code: 'ERR_DENIED' })
    await expect(c.network.connect(a.address, SOON())).rejects.toMatchObject({
      code: expect.any(String) as string,
    })
    a.trust.disallow(b.peer)
    expect(await a.network.connect(c.address, SOON())).toMatchObject({ peer: c.peer })
  })

  it('keeps dials as evidence', async () => {
    const [a, b] = [await start(), await start()]
    await a.network.connect(b.address, SOON())
    const gone = await start()
    await gone.stop()
    nodes.pop()
    await expect(a.network.connect(gone.address, SOON())).rejects.toMatchObject({ code: 'ERR_DIAL_FAILED' })
    expect(a.trust.evidence({ peer: b.peer }).evidence).toMatchObject([{ kind: 'dial-succeeded', count: 1 }])
    expect(a.trust.evidence({ peer: gone.peer }).evidence).toMatchObject([{ kind: 'dial-failed' }])
  })
})

describe('bootstrap', () => {
  it('connects at the start, and again when the peer comes back', async () => {
    const b = await start()
    const a = await start({ network: { bootstrap: [b.address] } })
    await eventually('both know each other', () => a.network.peerCount() === 1 && b.network.peerCount() === 1)
    await isLeftAndComesBack(a, b)
    expect(a.network.peers()[0]?.peer).toBe(b.peer)
  })

  it('keeps trying a peer that is not there yet', async () => {
    const reserved = await start()
    const listen = reserved.address.slice(0, reserved.address.indexOf('/p2p/'))
    await reserved.stop()
    nodes.pop()
    const a = await start({ network: { bootstrap: [listen] } })
    await start({ network: { listen: [listen] } })
    await eventually('a found it', () => a.network.peerCount() === 1)
    expect(a.log.warnings).toContainEqual([expect.anything(), expect.stringContaining('bootstrap')])
  })
})
