import { Server } from 'node:net'
import type { Listener } from '@libp2p/interface'
import { CONNECTION_LIMITS } from '../limits.ts'

/**
 * Bounds the sockets of a WebSocket listener. @libp2p/websockets 10 has no option for it, and waits for ever for the
 * first byte of a connection; its listener keeps the server in `server`, which a test holds us to.
 */
export function boundSockets(listener: Listener, maxConnections: number): void {
  const { server } = listener as { server?: unknown }
  if (!(server instanceof Server)) throw new TypeError('the listener has no server to bound')
  server.maxConnections = maxConnections
  server.on('connection', (socket) => {
    const silent = setTimeout(() => socket.destroy(), CONNECTION_LIMITS.inboundUpgradeTimeoutMs).unref()
    const done = (): void => clearTimeout(silent)
    // The listener reads the first byte when there is one; from then on the bounds of HTTP hold.
    socket.once('readable', done).once('close', done)
  })
}
