import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * What an address is made of, hosts alike and peer ids left out: `/ip4/127.0.0.1/tcp/4700/p2p/12D3…` is `host/tcp`,
 * `/dns4/example.org/tcp/443/tls/ws` is `host/tcp/tls/ws`, a way through a relay ends in `p2p-circuit`.
 */
export function shapeOf(address: Multiaddr): string {
  return address
    .getComponents()
    .filter(({ name }) => name !== 'p2p' && name !== 'ip6zone')
    .map(({ name }) => (HOSTS.has(name) ? 'host' : name))
    .join('/')
}

const HOSTS: ReadonlySet<string> = new Set(['ip4', 'ip6', 'dns', 'dns4', 'dns6'])

/** Whether it leads through a relay. */
export function isRelayed(address: Multiaddr): boolean {
  return address.getComponents().some(({ name }) => name === 'p2p-circuit')
}
