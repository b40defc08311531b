import type { Connection } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p, type Libp2p } from 'libp2p'
import { pEvent } from 'p-event'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createLiveness } from '../../../src/network/liveness.ts'
import { eventually } from '../../support/network.ts'

const PING = '/ipfs/ping/1.0.0'

let nodes: Libp2p[] = []
afterEach(async () => {
  await Promise.all(nodes.map(async (node) => node.stop()))
  nodes = []
})

/** A node that watches its connections, once every 300 ms, or one that is only there to be watched. */
async function start(kind: 'watching' | 'speaking' | 'deaf'): Promise<Libp2p> {
  const watching = createLiveness({ intervalMs: 300, timeoutMs: 500 })
  const node = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    services: {
      identify: identify(),
      ...(kind === 'speaking' ? { ping: ping() } : {}),
      ...(kind === 'watching' ? { ping: watching.ping, liveness: watching.service } : {}),
    },
  })
  nodes.push(node)
  return node
}

async function connect(from: Libp2p, to: Libp2p): Promise<Connection> {
  return from.dial(to.getMultiaddrs()[0]!)
}

describe('liveness', () => {
  it('measures the round trip of whoever answers, also of one that does not speak the protocol', async () => {
    const [node, speaking, deaf] = [await start('watching'), await start('speaking'), await start('deaf')]
    const connections = [await connect(node, speaking), await connect(node, deaf)]
    await eventually('both are measured', () => connections.every(({ rtt }) => rtt !== undefined))
    for (const { rtt, status } of connections) {
      expect(rtt).toBeGreaterThan(0)
      expect(status).toBe('open')
    }
  })

  it('ends a connection whose other side has gone silent, and no other', async () => {
    const [node, silent, speaking] = [await start('watching'), await start('deaf'), await start('speaking')]
    // It takes the stream and says nothing, as a machine that hangs.
    await silent.handle(PING, () => {})
    const [lost, kept] = [await connect(node, silent), await connect(node, speaking)]
    await pEvent(lost, 'close', { timeout: 10_000 })
    expect(lost.status).toBe('aborted')
    await eventually('the other is measured', () => kept.rtt !== undefined)
    expect(kept.status).toBe('open')
  })

  it('is content with the pings of the other side most of the time', async () => {
    const [a, b] = [await start('watching'), await start('watching')]
    const dialled = await connect(a, b)
    await eventually('both have it', () => b.getConnections(a.peerId).length === 1)
    const [accepted] = b.getConnections(a.peerId)
    const spies = [vi.spyOn(dialled, 'newStream'), vi.spyOn(accepted!, 'newStream')]
    const beganMs = performance.now()
    await eventually('twenty pings have gone', () => spies.flatMap(({ mock }) => mock.calls).length >= 20)
    // Each side by itself would have sent ten of them within 10 intervals; a slower machine takes longer in either case.
    expect(performance.now() - beganMs).toBeGreaterThan(20 * 300 * 0.55)
    for (const connection of [dialled, accepted!]) {
      expect(connection.status).toBe('open')
      expect(connection.rtt).toBeGreaterThan(0)
    }
  })
})
