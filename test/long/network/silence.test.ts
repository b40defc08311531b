import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, it } from 'vitest'
import { CONNECTION_LIMITS } from '../../../src/network/limits.ts'
import type { TestNode } from '../../support/network.ts'
import { startTestNode, stopAll } from '../../support/network.ts'

const SOON = (): AbortSignal => AbortSignal.timeout(10_000)

function portOf(node: TestNode): number {
  const tcp = multiaddr(node.address)
    .getComponents()
    .find(({ name }) => name === 'tcp')
  return Number(tcp?.value)
}

async function open(node: TestNode): Promise<Socket> {
  const socket = connect(portOf(node), '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** Resolves when the socket has closed, or already had. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) {
      resolve()
    } else {
      socket.once('close', () => resolve())
    }
  })
}

// Both wait for a time limit to pass, so that they do it side by side.
describe.concurrent('what never answers', () => {
  it('is given up by who dials', async () => {
    const node = await startTestNode()
    const silent = createServer()
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    try {
      const address = `/ip4/127.0.0.1/tcp/${(silent.address() as AddressInfo).port}`
      await expect(node.network.connect(address, new AbortController().signal)).rejects.toMatchObject({
        code: 'ERR_DIAL_FAILED',
        kind: 'timeout',
      })
    } finally {
      silent.close()
      await stopAll([node])
    }
  }, 40_000)

  it('is cut off by who listens, and so are garbage and a handshake that drips; others are served meanwhile', async () => {
    const [node, friend, latecomer] = [await startTestNode(), await startTestNode(), await startTestNode()]
    const silent = await Promise.all(Array.from({ length: 40 }, () => open(node)))
    const garbage = await Promise.all(Array.from({ length: 40 }, () => open(node)))
    const slow = await Promise.all(Array.from({ length: 10 }, () => open(node)))
    const noise = new Uint8Array(64 * 1024).map((_, index) => (index * 7919) % 251)
    for (const socket of garbage) {
      socket.write(noise)
    }
    // The true beginning of a handshake, a byte at a time, which keeps a socket busy without ever getting anywhere.
    const hello = Buffer.from('\x13/multistream/1.0.0\n/noise\n')
    let sent = 0
    const drip = setInterval(() => {
      for (const socket of slow) {
        socket.write(hello.subarray(sent % hello.length, (sent % hello.length) + 1))
      }
      sent++
    }, 200)
    try {
      const allClosed = Promise.all([...silent, ...garbage, ...slow].map(closed))
      expect(await friend.network.connect(node.address, SOON())).toMatchObject({ peer: node.peer })
      const startedMs = performance.now()
      await allClosed
      expect(performance.now() - startedMs).toBeLessThan(CONNECTION_LIMITS.inboundUpgradeTimeoutMs + 5_000)
      expect(node.network.peerCount()).toBe(1)
      expect(await latecomer.network.connect(node.address, SOON())).toMatchObject({ peer: node.peer })
    } finally {
      clearInterval(drip)
      await stopAll([node, friend, latecomer])
    }
  }, 40_000)
})
