import { networkInterfaces } from 'node:os'
import type { Multiaddr } from '@multiformats/multiaddr'
import { multiaddr } from '@multiformats/multiaddr'
import type { Logger } from '../../telemetry/types.ts'
import { addressInvalid, transportUnavailable } from '../errors.ts'
import type { NetworkSettings } from '../settings.ts'
import type { TransportRow } from './table.ts'
import { TRANSPORTS, transportsOf } from './table.ts'

export interface ListenOptions {
  transports?: readonly TransportRow[]
  /** Whether this machine has any IPv6 address; asked of it where it is not said. */
  hasIpv6?: boolean
  log?: Logger
}

/**
 * What to listen on: `network.listen`, checked. An empty list is a node that only dials.
 *
 * On a machine without IPv6 `/ip6/::/…` falls out where the list has the same for IPv4: the default list names both, and
 * such a machine is a common one. Where it stands alone somebody meant it: a node that nobody could reach must not start as if all were well.
 *
 * WebRTC-direct on IPv6 stands before the same port on IPv4: the addon opens one socket for both, and it is that of the
 * first. One that was opened for IPv4 does not hear IPv6, and the address would be announced and lead nowhere.
 *
 * @throws ERR_ADDRESS_INVALID for what is not a multiaddr or cannot be here, ERR_TRANSPORT_UNAVAILABLE for what no transport serves
 */
export function listenAddresses(settings: NetworkSettings, options: ListenOptions = {}): string[] {
  const table = options.transports ?? TRANSPORTS
  const configured = settings.network.listen
  for (const text of configured) checkListen(text, settings, table)
  checkWebrtc(configured)
  if (options.hasIpv6 ?? hasIpv6()) {
    const isFirst = (text: string): boolean => /^\/ip6\/.*\/webrtc-direct/.test(text)
    return [...configured.filter(isFirst), ...configured.filter((text) => !isFirst(text))]
  }
  const isTwin = (text: string): boolean =>
    text.startsWith('/ip6/::/') && configured.includes(text.replace('/ip6/::/', '/ip4/0.0.0.0/'))
  const kept = configured.filter((text) => !isTwin(text))
  const stray = kept.find((text) => text.startsWith('/ip6/'))
  if (stray !== undefined) {
    throw addressInvalid(stray, 'in network.listen is an address of IPv6, which this machine does not have')
  }
  if (kept.length < configured.length) {
    options.log?.info({ listen: kept }, 'this machine has no IPv6 address: listening on IPv4 alone')
  }
  return kept
}

function checkListen(text: string, settings: NetworkSettings, table: readonly TransportRow[]): void {
  let address: Multiaddr
  try {
    address = multiaddr(text)
  } catch (cause) {
    throw addressInvalid(text, 'in network.listen is not a multiaddr such as /ip4/0.0.0.0/tcp/4700', cause)
  }
  if (!transportsOf(settings, table).some((row) => row.listens(address))) {
    throw transportUnavailable(
      text,
      table.map(({ name }) => name),
      table.find((row) => row.listens(address))?.name,
    )
  }
}

/** @throws ERR_ADDRESS_INVALID for WebRTC-direct over both families on more than one socket: only the first would answer */
function checkWebrtc(configured: readonly string[]): void {
  const webrtc = configured.filter((text) => /\/webrtc-direct(\/|$)/.test(text))
  const portOf = (text: string): string | undefined => /\/udp\/(\d+)\//.exec(text)?.[1]
  const wrong = webrtc.find(
    (text) =>
      text.startsWith('/ip4/') &&
      webrtc.some(
        (other) =>
          other.startsWith('/ip6/') && !(other.startsWith('/ip6/::/') && portOf(other) === portOf(text)),
      ),
  )
  if (wrong === undefined) return
  throw addressInvalid(
    wrong,
    'in network.listen stands beside WebRTC-direct on IPv6, which works only as /ip6/::/udp/PORT/webrtc-direct with the same port',
  )
}

function hasIpv6(): boolean {
  return Object.values(networkInterfaces())
    .flat()
    .some((known) => known?.family === 'IPv6')
}
