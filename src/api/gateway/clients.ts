import { isIPv6, type Socket } from 'node:net'
import { IDLE_CONNECTIONS_PER_ADDRESS } from './limits.ts'

/** An IPv4 peer of a socket that listens on `::` is one by its own address (RFC 4291, section 2.5.5.2). */
export function addressOf(socket: Socket): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/i, '')
}

/** Whoever is on this machine: its own programs, and a proxy that stands in front for everybody. */
export function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

/** Who counts as one client: an address, and of IPv6 the network of 64 bits that one household or machine has. */
export function clientOf(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').toLowerCase().split('::')
  const groups = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: Math.max(0, 8 - groups.length - after.length) }, () => '0')
  const whole = tail === undefined ? groups : [...groups, ...zeros, ...after]
  return `${whole
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}

/**
 * What each client has open at a time, so that one of them cannot take all that there is for everybody. Holds no more entries than
 * there are connections.
 */
export class Clients {
  readonly #most: { requests: number; connections: number }
  readonly #isCounted: (address: string) => boolean
  readonly #requests = new Map<string, number>()
  readonly #connections = new Map<string, number>()

  constructor(
    maxRequests: number,
    isCounted: (address: string) => boolean = (address) => !isLoopback(address),
  ) {
    this.#most = { requests: maxRequests, connections: maxRequests + IDLE_CONNECTIONS_PER_ADDRESS }
    this.#isCounted = isCounted
  }

  /** How to take back that a request was begun; undefined where the client has as many as it may. */
  beginRequest(address: string): (() => void) | undefined {
    return this.#enter(this.#requests, address, this.#most.requests)
  }

  /** The same of a connection. */
  connect(address: string): (() => void) | undefined {
    return this.#enter(this.#connections, address, this.#most.connections)
  }

  #enter(counts: Map<string, number>, address: string, most: number): (() => void) | undefined {
    if (!this.#isCounted(address)) return () => {}
    const client = clientOf(address)
    const count = counts.get(client) ?? 0
    if (count >= most) return undefined
    counts.set(client, count + 1)
    return () => {
      const left = (counts.get(client) ?? 1) - 1
      if (left === 0) counts.delete(client)
      else counts.set(client, left)
    }
  }
}
