import { tcp } from '@libp2p/tcp'
import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'
import type { Libp2pInit } from 'libp2p'
import { addressInvalid, transportUnavailable } from './errors.ts'
import { CONNECTION_LIMITS } from './limits.ts'
import type { NetworkSettings } from './settings.ts'

type TransportFactory = NonNullable<Libp2pInit['transports']>[number]

/** One row of the table below. */
export interface TransportRow {
  /** As an operator reads it in an error. */
  name: string
  /** Whether this row dials and listens on such an address. */
  matches(address: Multiaddr): boolean
  create(settings: NetworkSettings): TransportFactory
}

/** The transports of this version. A new one is a row here: options, checks of addresses and error texts follow from it. */
export const TRANSPORTS: readonly TransportRow[] = [
  {
    name: 'tcp',
    matches: (address) => shapeOf(address) === 'host/tcp',
    create: ({ network }) =>
      tcp({
        // A bound of the kernel's side too: what comes over is closed before anything is read.
        maxConnections:
          network.maxConnections + CONNECTION_LIMITS.maxIncomingPending + CONNECTION_LIMITS.spareSockets,
      }),
  },
]

/**
 * What to listen on: `network.listen`, checked. An empty list is a node that only dials.
 *
 * @throws ERR_ADDRESS_INVALID for what is not a multiaddr, ERR_TRANSPORT_UNAVAILABLE for what no transport serves
 */
export function listenAddresses(
  settings: NetworkSettings,
  transports: readonly TransportRow[] = TRANSPORTS,
): string[] {
  const configured = settings.network.listen
  for (const text of configured) {
    let address: Multiaddr
    try {
      address = multiaddr(text)
    } catch (cause) {
      throw addressInvalid(text, 'in network.listen is not a multiaddr such as /ip4/0.0.0.0/tcp/4700', cause)
    }
    if (!transports.some((row) => row.matches(address))) {
      throw transportUnavailable(
        text,
        transports.map((row) => row.name),
      )
    }
  }
  return [...configured]
}

/**
 * What an address is made of, hosts alike and the peer id left out: `/ip4/127.0.0.1/tcp/4700/p2p/12D3…` is `host/tcp`,
 * `/dns4/example.org/tcp/443/tls/ws` is `host/tcp/tls/ws`.
 */
function shapeOf(address: Multiaddr): string {
  return address
    .getComponents()
    .filter(({ name }) => name !== 'p2p' && name !== 'ip6zone')
    .map(({ name }) => (HOSTS.has(name) ? 'host' : name))
    .join('/')
}

const HOSTS: ReadonlySet<string> = new Set(['ip4', 'ip6', 'dns', 'dns4', 'dns6'])
