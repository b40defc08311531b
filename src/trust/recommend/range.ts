import { isIP } from 'node:net'

/** Bits of an address that tell one network from another: what one customer is usually given. */
const IPV4_BYTES = 3
const IPV6_GROUPS = 3

/** What all share of whom it is not known from where they are connected: through a relay, or not at all. */
export const UNKNOWN_RANGE = ''

/**
 * The network that an address lies in: `/24` of IPv4, `/48` of IPv6. One who has many identities has them mostly in one, so that all
 * of them together count as one recommender.
 *
 * @param address text form of a multiaddr
 */
export function networkRange(address: string | undefined): string {
  if (address === undefined || address.includes('/p2p-circuit')) return UNKNOWN_RANGE
  const [, protocol, host = ''] = address.split('/')
  if (protocol === 'ip4' && isIP(host) === 4) return `${host.split('.').slice(0, IPV4_BYTES).join('.')}.0/24`
  if (protocol !== 'ip6' || isIP(host) !== 6) return UNKNOWN_RANGE
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1]
  if (mapped !== undefined) return networkRange(`/ip4/${mapped}`)
  return `${groupsOf(host).slice(0, IPV6_GROUPS).join(':')}::/48`
}

/** The eight groups of an address, without leading zeros. */
function groupsOf(host: string): string[] {
  const [before = '', after] = host.toLowerCase().split('::')
  const first = before === '' ? [] : before.split(':')
  const last = after === undefined || after === '' ? [] : after.split(':')
  const zeros = after === undefined ? 0 : Math.max(0, 8 - first.length - last.length)
  return [...first, ...Array<string>(zeros).fill('0'), ...last].map((group) => group.replace(/^0+(?=.)/, ''))
}
