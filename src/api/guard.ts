import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { hostRefused, originRefused } from './errors.ts'

const WILDCARDS = new Set(['0.0.0.0', '::', ''])

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Whether the request comes from this machine. What a proxy claims in headers is not asked: a proxy on
 * this machine makes all its clients local. */
export function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false
  // An IPv4 peer of a socket that listens on `::` (RFC 4291, section 2.5.5.2).
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  const family = isIP(plain)
  return family !== 0 && loopback.check(plain, family === 4 ? 'ipv4' : 'ipv6')
}

/**
 * Against DNS rebinding: a page of another site whose name was made to lead here is told by the Host header, which
 * holds that name. Names of this node: the loopback ones and what the operator configured. A node that listens on all
 * addresses accepts any address as host, since an address cannot be rebound.
 */
export class HostGuard {
  readonly #names: ReadonlySet<string>
  readonly #anyAddress: boolean

  constructor(listenHost: string, names: readonly string[] = []) {
    this.#names = new Set(
      ['localhost', '127.0.0.1', '::1', listenHost, ...names].map((name) => name.toLowerCase()),
    )
    this.#anyAddress = WILDCARDS.has(listenHost)
  }

  /** @throws ERR_HOST_REFUSED, ERR_ORIGIN_REFUSED */
  check(request: IncomingMessage): void {
    const { host = '', origin } = request.headers
    const name = hostName(host)
    if (name === undefined || !(this.#names.has(name) || (this.#anyAddress && isIP(name) !== 0)))
      throw hostRefused(host)
    if (origin !== undefined) {
      if (originHost(origin) !== host.toLowerCase()) throw originRefused()
      return
    }
    // Browsers leave Origin out of simple requests, but say where they come from; following a link is no harm.
    const site = request.headers['sec-fetch-site']
    if ((site === 'cross-site' || site === 'same-site') && request.headers['sec-fetch-mode'] !== 'navigate') {
      throw originRefused()
    }
  }
}

/** The name in a Host header, without port, brackets and the dot of a fully qualified name. */
function hostName(header: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@\s]+))(?::\d{1,5})?$/i.exec(header)
  return (match?.[1] ?? match?.[2])?.toLowerCase().replace(/\.$/, '')
}

/** Host and port of an Origin header as a Host header names them, or undefined for `null` and what is no origin of ours. */
function originHost(origin: string): string | undefined {
  try {
    const { protocol, host } = new URL(origin)
    return protocol === 'http:' || protocol === 'https:' ? host : undefined
  } catch {
    return undefined
  }
}
