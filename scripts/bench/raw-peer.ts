/**
 * A bare libp2p stream, over TCP, Noise and yamux where nothing else is said: what every transfer is measured against.
 * `raw-peer.ts server BYTES [LISTEN]` prints its address and sends BYTES to whoever opens a stream; `raw-peer.ts client ADDRESS` reads
 * them and prints how long that took; `raw-peer.ts relay` carries between two others.
 */
import { quic } from '@chainsafe/libp2p-quic'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { webRTCDirect } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import type { Libp2pInit } from 'libp2p'
import { createLibp2p } from 'libp2p'
import { pEvent } from 'p-event'

const PROTOCOL = '/bench/raw/1.0.0'
const CHUNK_BYTES = 64 * 1024
const [role, argument, listen = '/ip4/127.0.0.1/tcp/0'] = process.argv.slice(2)
const address = role === 'client' ? (argument ?? '') : listen

/** Only what the address needs: an addon that is loaded for nothing would be measured too. */
function transports(): NonNullable<Libp2pInit['transports']> {
  if (address.includes('/p2p-circuit')) return [tcp(), circuitRelayTransport()]
  if (/\/ws\b/.test(address)) return [webSockets()]
  if (address.includes('/quic-v1')) return [quic()]
  if (address.includes('/webrtc-direct')) return [webRTCDirect({ rtcConfiguration: { iceServers: [] } })]
  return [tcp()]
}

const node = await createLibp2p({
  addresses: { listen: role === 'client' ? [] : [listen] },
  transports: transports(),
  connectionEncrypters: [noise()],
  // The same bounds as the daemon's.
  streamMuxers: [
    yamux({ streamOptions: { maxStreamWindowSize: 2 * 1024 * 1024, initialStreamWindowSize: 256 * 1024 } }),
  ],
  connectionManager: { inboundConnectionThreshold: 1000 },
  services: {
    identify: identify(),
    ...(role === 'relay'
      ? { relay: circuitRelayServer({ reservations: { applyDefaultLimit: false } }) }
      : {}),
  },
})

if (role === 'relay') {
  process.stdout.write(`${JSON.stringify({ address: node.getMultiaddrs()[0]?.toString() })}\n`)
} else if (role === 'server') {
  const total = Number(argument)
  await node.handle(PROTOCOL, (stream) => {
    const chunk = new Uint8Array(CHUNK_BYTES).fill(7)
    void (async () => {
      for (let sent = 0; sent < total; sent += chunk.length) {
        if (!stream.send(chunk) && stream.writableNeedsDrain)
          await pEvent(stream, 'drain', { rejectionEvents: ['close'] })
      }
      await stream.close()
    })().catch(() => {})
  })
  process.stdout.write(`${JSON.stringify({ address: node.getMultiaddrs()[0]?.toString() })}\n`)
} else {
  const connection = await node.dial(multiaddr(argument))
  const stream = await connection.newStream(PROTOCOL)
  const startedAtMs = performance.now()
  let bytes = 0
  stream.addEventListener('message', (event) => {
    bytes += event.data.byteLength
  })
  await pEvent(stream, 'remoteCloseWrite')
  const durationMs = performance.now() - startedAtMs
  process.stdout.write(`${JSON.stringify({ bytes, durationMs })}\n`)
  await node.stop()
}
