import { once } from 'node:events'
import { connect } from 'node:net'
import { MemoryDatastore } from 'datastore-core'
import { afterEach, describe, expect, it } from 'vitest'
import { CONNECTION_LIMITS, QUIC_LIMITS } from '../../../src/network/limits.ts'
import { startError } from '../../../src/network/index.ts'
import type { TestNode, TestNodeOptions } from '../../support/network.ts'
import { eventually, startTestNode, stopAll } from '../../support/network.ts'

const SOON = (): AbortSignal => AbortSignal.timeout(20_000)
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

/** Each transport with an address to listen on and the name that `peers` shows. */
const EACH = [
  ['tcp', 'tcp/0', 'tcp'],
  ['websocket', 'tcp/0/ws', 'ws'],
  ['quic', 'udp/0/quic-v1', 'quic-v1'],
  ['webrtcDirect', 'udp/0/webrtc-direct', 'webrtc-direct'],
] as const

describe('each transport alone', () => {
  it.each(EACH)('%s connects, proves who is there, and notices a hang-up', async (name, listen, shown) => {
    const transports = {
      tcp: false,
      websocket: false,
      quic: false,
      webrtcDirect: false,
      webrtc: false,
      [name]: true,
    }
    const a = await start({ network: { listen: [], transports } })
    const b = await start({ network: { listen: [`/ip4/127.0.0.1/${listen}`], transports } })
    const other = await start({ network: { listen: [] } })

    await expect(a.network.connect(b.address.replace(b.peer, other.peer), SOON())).rejects.toMatchObject({
      code: 'ERR_DIAL_FAILED',
      message: expect.stringContaining('another peer answered') as string,
    })
    expect(await a.network.connect(b.address, SOON())).toMatchObject({
      peer: b.peer,
      transport: shown,
      limited: false,
      agent: 'p2pnode/0.0.0-test',
    })
    await eventually('b knows a', () => b.network.peers()[0]?.peer === a.peer)
    await a.network.disconnect(b.peer)
    // A datagram that says so may be lost; QUIC then notices the silence.
    await eventually('b noticed', () => b.network.peerCount() === 0, QUIC_LIMITS.idleTimeoutMs + 10_000)
  })

  it.each(EACH)('%s says in one line that its port is taken', async (_name, listen) => {
    const a = await start({ network: { listen: [`/ip4/127.0.0.1/${listen}`] } })
    const taken = a.address.replace(/\/(p2p|certhash)\/.*/, '')
    const error: unknown = await start({ network: { listen: [taken] } }).catch((error: unknown) =>
      startError(error),
    )
    expect(error).toMatchObject({ code: 'ERR_LISTEN', kind: 'conflict' })
    expect((error as Error).message).toMatch(
      /^cannot listen: .*(127\.0\.0\.1|\/ip4).* is in use by another program/,
    )
  })
})

describe('a WebSocket listener', () => {
  it('closes sockets over the bound, and those that say nothing', async () => {
    const limit = CONNECTION_LIMITS.maxIncomingPending + CONNECTION_LIMITS.spareSockets + 10
    const node = await start({ network: { listen: ['/ip4/127.0.0.1/tcp/0/ws'], maxConnections: 10 } })
    const port = Number(/tcp\/(\d+)/.exec(node.address)?.[1])
    const sockets = await Promise.all(
      Array.from({ length: limit + 50 }, async () => {
        const socket = connect(port, '127.0.0.1').on('error', () => {})
        await once(socket, 'connect')
        return socket
      }),
    )
    await eventually('the surplus is cut', () => sockets.filter(({ closed }) => closed).length >= 50)
    expect(sockets.filter(({ closed }) => closed).length).toBeLessThan(limit)
    for (const socket of sockets) socket.destroy()
  })
})

describe('the address of WebRTC-direct', () => {
  it('outlives a restart with its certificate', async () => {
    const datastore = new MemoryDatastore()
    const listen = ['/ip4/127.0.0.1/udp/0/webrtc-direct']
    const hashes: (string | undefined)[] = []
    for (let run = 0; run < 2; run++) {
      const node = await startTestNode({ network: { listen }, init: { datastore } })
      hashes.push(/certhash\/([^/]+)/.exec(node.address)?.[1])
      await node.stop()
    }
    expect(hashes[0]).toMatch(/^uEi/)
    expect(hashes[1]).toBe(hashes[0])
  })
})
