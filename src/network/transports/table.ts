import type { Listener } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2pInit } from 'libp2p'
import { CONNECTION_LIMITS } from '../limits.ts'
import type { NetworkSettings } from '../settings.ts'
import type { LazyTransportInit } from './lazy.ts'
import { lazyTransport } from './lazy.ts'
import { shapeOf } from './shape.ts'
import { boundSockets } from './sockets.ts'

export type TransportFactory = NonNullable<Libp2pInit['transports']>[number]

/** One row of the table below. */
export interface TransportRow {
  /** The key below `network.transports` that switches it, which is also how an operator reads it in an error. */
  name: keyof NetworkSettings['network']['transports']
  /** Whether this row dials such an address. */
  dials(address: Multiaddr): boolean
  /** Whether this row listens on such an address. */
  listens(address: Multiaddr): boolean
  create(settings: NetworkSettings): TransportFactory
}

/** The transports of this version. A new one is a row here: options, checks of addresses and error texts follow from it. */
export const TRANSPORTS: readonly TransportRow[] = [
  {
    name: 'tcp',
    ...both(/^host\/tcp$/),
    create: ({ network }) => tcp({ maxConnections: maxSockets(network) }),
  },
  lazy({
    name: 'websocket',
    ...both(/^host\/tcp(\/tls(\/sni)?)?\/wss?$/),
    async load() {
      const { webSockets } = await import('@libp2p/websockets')
      return webSockets({ http: HTTP_LIMITS })
    },
    guard: (listener, { network }) => boundSockets(listener, maxSockets(network)),
  }),
  lazy({
    name: 'quic',
    ...both(/^host\/udp\/quic-v1$/),
    async load() {
      const { quicTransport } = await import('./quic.ts')
      return quicTransport()
    },
  }),
  lazy({
    name: 'webrtcDirect',
    ...both(/^host\/udp\/webrtc-direct(\/certhash)*$/),
    async load() {
      const { webrtcDirectTransport } = await import('./webrtc.ts')
      return webrtcDirectTransport()
    },
  }),
  lazy({
    name: 'webrtc',
    dials: (address) => shapeOf(address).endsWith('/p2p-circuit/webrtc'),
    // Without an address of its own: it is reached wherever there is a slot at a relay.
    listens: (address) => shapeOf(address) === 'webrtc',
    async load({ network }) {
      const { webrtcTransport } = await import('./webrtc.ts')
      return webrtcTransport(network)
    },
  }),
]

/** The rows that a node's configuration leaves on. */
export function transportsOf(
  { network }: NetworkSettings,
  table: readonly TransportRow[] = TRANSPORTS,
): readonly TransportRow[] {
  return table.filter(({ name }) => network.transports[name])
}

/** What an upgrade request is made of: a line and a few headers. Node's own bounds hold for the rest. */
const HTTP_LIMITS = {
  maxHeaderSize: 8 * 1024,
  headersTimeout: CONNECTION_LIMITS.inboundUpgradeTimeoutMs,
  requestTimeout: CONNECTION_LIMITS.inboundUpgradeTimeoutMs,
  connectionsCheckingInterval: CONNECTION_LIMITS.inboundUpgradeTimeoutMs,
} as const

/** A bound of the kernel's side too: what comes over is closed before anything is read. */
function maxSockets({ maxConnections }: NetworkSettings['network']): number {
  return maxConnections + CONNECTION_LIMITS.maxIncomingPending + CONNECTION_LIMITS.spareSockets
}

function both(shape: RegExp): Pick<TransportRow, 'dials' | 'listens'> {
  const matches = (address: Multiaddr): boolean => shape.test(shapeOf(address))
  return { dials: matches, listens: matches }
}

type LazyRow = Pick<TransportRow, 'name' | 'dials' | 'listens'> & {
  load(settings: NetworkSettings): Promise<TransportFactory>
  guard?(listener: Listener, settings: NetworkSettings): void
}

function lazy({ load, guard, ...row }: LazyRow): TransportRow {
  return {
    ...row,
    create: (settings) => {
      const init: LazyTransportInit = { ...row, load: () => load(settings) }
      if (guard !== undefined) init.guard = (listener) => guard(listener, settings)
      return lazyTransport(init)
    },
  }
}
