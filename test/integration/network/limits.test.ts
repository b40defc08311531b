import { once } from 'node:events'
import type { Socket } from 'node:net'
import { connect } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, describe, expect, it } from 'vitest'
import type { TestNode, TestNodeOptions } from '../../support/network.ts'
import { eventually, startTestNode, stopAll } from '../../support/network.ts'

const SOON = (): AbortSignal => AbortSignal.timeout(10_000)

let nodes: TestNode[] = []
let sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets) {
    socket.destroy()
  }
  sockets = []
  await stopAll(nodes)
  nodes = []
})

async function start(options?: TestNodeOptions): Promise<TestNode> {
  const node = await startTestNode(options)
  nodes.push(node)
  return node
}

async function open(node: TestNode): Promise<Socket> {
  const socket = connect(portOf(node), '127.0.0.1')
  socket.on('error', () => {})
  sockets.push(socket)
  await once(socket, 'connect')
  return socket
}

function portOf(node: TestNode): number {
  const tcp = multiaddr(node.address)
    .getComponents()
    .find(({ name }) => name === 'tcp')
  return Number(tcp?.value)
}

describe('limits of connections', () => {
  it('refuses inbound connections over maxConnections, under a burst too', async () => {
    const full = await start({ network: { maxConnections: 3 } })
    const others: TestNode[] = []
    for (let index = 0; index < 8; index++) {
      others.push(await start())
    }
    const results = await Promise.allSettled(
      others.map((other) => other.network.connect(full.address, SOON())),
    )
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(3)
    await eventually('three are connected', () => full.libp2p.getConnections().length === 3)
    expect(others.filter((other) => other.network.peerCount() > 0)).toHaveLength(3)
  }, 30_000)

  it('makes room for what this node opens itself', async () => {
    const full = await start({ network: { maxConnections: 2 } })
    const [a, b, c] = [await start(), await start(), await start()]
    await a.network.connect(full.address, SOON())
    await b.network.connect(full.address, SOON())
    expect(await full.network.connect(c.address, SOON())).toMatchObject({ peer: c.peer })
    expect(full.libp2p.getConnections()).toHaveLength(2)
    expect(full.network.peers().map(({ peer }) => peer)).toContain(c.peer)
  })

  it('holds one address to its rate', async () => {
    const strict = await start({ network: { maxInboundPerIpPerSecond: 2 } })
    const others = [await start(), await start(), await start(), await start()]
    const results = await Promise.allSettled(
      others.map((other) => other.network.connect(strict.address, SOON())),
    )
    expect(results.map(({ status }) => status).sort()).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
    ])
  })
})

describe('what is no libp2p', () => {
  it('does not keep sockets over the bound of the handshake', async () => {
    const node = await start({ network: { maxConnections: 10 } })
    const opened = await Promise.all(Array.from({ length: 700 }, () => open(node)))
    const isClosed = ({ closed }: Socket): boolean => closed
    await eventually('the surplus is cut at once', () => opened.filter(isClosed).length >= 700 - 512, 4_000)
    expect(opened.filter(isClosed).length).toBeLessThan(700)
  }, 20_000)
})

describe('many nodes in one process', () => {
  it('starts, connects and stops thirty, and leaves nothing behind', async () => {
    const before = process.getActiveResourcesInfo().length
    const hub = await start()
    const others = await Promise.all(
      Array.from({ length: 29 }, () => start({ network: { bootstrap: [hub.address] } })),
    )
    await eventually('all are connected', () => hub.network.peerCount() === 29, 60_000)
    expect(others.every((other) => other.network.peerCount() > 0)).toBe(true)
    const figures = await Promise.all(nodes.map((node) => node.registry.metrics()))
    expect(figures[0]).toContain('libp2p_connection_manager_connections')
    expect(figures.every((text) => !text.includes('12D3Koo'))).toBe(true)

    await stopAll(nodes)
    nodes = []
    await eventually(
      'sockets and timers are gone',
      () => process.getActiveResourcesInfo().length <= before + 5,
      20_000,
    )
  }, 120_000)

  it('keeps the figures of two nodes apart', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    await a.network.connect(b.address, SOON())
    await a.network.connect(c.address, SOON())
    const outbound = /libp2p_connection_manager_connections\{[^}]*="outbound"\} (\d+)/
    expect(outbound.exec(await a.registry.metrics())?.[1]).toBe('2')
    expect(outbound.exec(await b.registry.metrics())?.[1]).toBe('0')
  })
})
