import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterEach, describe, expect, it } from 'vitest'
import { hostOf } from '../../../src/network/addresses.ts'
import type { TestNode, TestNodeOptions } from '../../support/network.ts'
import { eventually, startTestNode, stopAll } from '../../support/network.ts'

// A file of its own, and thus a process: the WebRTC addon answers from the first socket that a process opened.

const SOON = (): AbortSignal => AbortSignal.timeout(20_000)
const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((known) => known?.address === '::1')

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

describe.skipIf(!hasIpv6)('the default addresses', () => {
  it('lead to the node over both families, on one port each', async () => {
    const [tcp, udp] = [await freePort('tcp'), await freePort('udp')]
    const b = await start({
      network: {
        listen: ['/ip4/0.0.0.0', '/ip6/::'].flatMap((host) => [
          `${host}/tcp/${tcp}`,
          `${host}/udp/${udp}/webrtc-direct`,
        ]),
      },
    })
    const loopback = b.network.addresses().filter((address) => /^\/(ip4\/127\.|ip6\/::1\/)/.test(address))
    expect(loopback).toHaveLength(4)
    for (const address of loopback) {
      const a = await start({ network: { listen: [] } })
      expect(await a.network.connect(address, SOON())).toMatchObject({ peer: b.peer })
    }
    await eventually('all are there', () => b.network.peerCount() === 4)
    // What comes over IPv4 is judged as IPv4, whatever socket it came in by.
    const hosts = b.libp2p.getConnections().map(({ remoteAddr }) => hostOf(remoteAddr)?.address)
    expect(hosts.filter((host) => host === '127.0.0.1')).toHaveLength(2)
    expect(hosts.filter((host) => host === '::1')).toHaveLength(2)
    b.trust.block('127.0.0.0/8')
    await eventually('IPv4 is dropped', () => b.network.peerCount() === 2)
  })
})

describe.skipIf(!hasIpv6)('IPv6', () => {
  it.each([
    ['tcp/0', 'tcp'],
    ['tcp/0/ws', 'ws'],
    ['udp/0/quic-v1', 'quic-v1'],
    ['udp/0/webrtc-direct', 'webrtc-direct'],
  ])('is listened on and dialled: %s', async (listen, shown) => {
    const a = await start({ network: { listen: [] } })
    const b = await start({ network: { listen: [`/ip6/::1/${listen}`] } })
    expect(await a.network.connect(b.address, SOON())).toMatchObject({ peer: b.peer, transport: shown })
  })
})

async function freePort(kind: 'tcp' | 'udp'): Promise<number> {
  const socket = kind === 'tcp' ? createServer().listen(0) : createSocket('udp6').bind(0)
  await once(socket, 'listening')
  const { port } = socket.address() as AddressInfo
  socket.close()
  await once(socket, 'close')
  return port
}
