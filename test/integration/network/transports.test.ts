import { once } from 'node:events'
import { connect } from 'node:net'
import { MemoryDatastore } from 'datastore-core'
import { afterEach, describe, expect, it } from 'vitest'
import { CONNECTION_LIMITS } from '../../../src/network/limits.ts'
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
    // The DHT may dial again at once: what counts is that it was heard of.
    const events: string[] = []
    b.network.onChange(({ type }) => events.push(type))
    await a.network.disconnect(b.peer)
    await eventually('b noticed', () => events.includes('disconnected'))
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

describe('what is wrong with an address', () => {
  it.each([
    ['/ip4/127.0.0.1/tcp/1/ws', 'ERR_DIAL_FAILED', 'no WebSocket server answers there'],
    ['/ip4/127.0.0.1/udp/1/webrtc-direct', 'ERR_ADDRESS_INVALID', 'lacks the /certhash/'],
    ['/ip4/127.0.0.1/udp/1/quic-v1/webtransport', 'ERR_TRANSPORT_UNAVAILABLE', 'cannot be had in Node.js'],
    ['/ip4/127.0.0.1/udp/1/quic', 'ERR_TRANSPORT_UNAVAILABLE', 'no transport of this version'],
    ['/ip4/127.0.0.1/tcp/1/ws/p2p-circuit', 'ERR_TRANSPORT_UNAVAILABLE', 'leads through a relay'],
  ])('is said: %s', async (address, code, message) => {
    const a = await start({ network: { listen: [], relay: { client: 'never' } } })
    await expect(a.network.connect(address, SOON())).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    })
  })

  it('is said where the transport is off, with the switch', async () => {
    const a = await start({ network: { listen: [], transports: { quic: false } } })
    await expect(a.network.connect('/ip4/127.0.0.1/udp/1/quic-v1', SOON())).rejects.toMatchObject({
      code: 'ERR_TRANSPORT_UNAVAILABLE',
      message: expect.stringContaining('network.transports.quic') as string,
    })
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
  it('outlives a restart with its certificate and its port', async () => {
    const datastore = new MemoryDatastore()
    let listen = '/ip4/127.0.0.1/udp/0/webrtc-direct'
    const addresses: string[] = []
    for (let run = 0; run < 2; run++) {
      const node = await startTestNode({ network: { listen: [listen] }, init: { datastore } })
      const other = await start({ network: { listen: [] } })
      expect(await other.network.connect(node.address, SOON())).toMatchObject({ peer: node.peer })
      await node.stop()
      addresses.push(node.address.replace(/\/p2p\/.*/, ''))
      listen = addresses[0]!.replace(/\/certhash\/.*/, '')
    }
    expect(addresses[0]).toMatch(/\/udp\/[1-9]\d*\/webrtc-direct\/certhash\/uEi/)
    expect(addresses[1]).toBe(addresses[0])
  })
})
