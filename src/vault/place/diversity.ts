/**
 * The network of an address as placement counts it: its /24 (IPv4) or /48 (IPv6), which mostly belong to one operator and
 * fail together. Undefined for loopback, where no network can be told from another, and for what is no IP address.
 */
export function networkOf(address: string | undefined): string | undefined {
  if (address === undefined) return undefined
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  const v4 = /^(\d+)\.(\d+)\.(\d+)\.\d+$/.exec(mapped ?? address)
  if (v4 !== null) return v4[1] === '127' ? undefined : `${v4[1]}.${v4[2]}.${v4[3]}.0/24`
  const groups = expand(address)
  if (groups === undefined) return undefined
  if (groups.every((group, at) => group === (at === 7 ? 1 : 0))) return undefined
  const prefix = groups.slice(0, 3).map((group) => group.toString(16))
  return `${prefix.join(':')}::/48`
}

/** The eight groups of an IPv6 address. */
function expand(address: string): number[] | undefined {
  const [bare = ''] = address.split('%')
  const halves = bare.split('::')
  if (!bare.includes(':') || halves.length > 2) return undefined
  const parse = (text: string | undefined) => (text === undefined || text === '' ? [] : text.split(':'))
  const [head, tail] = [parse(halves[0]), parse(halves[1])]
  const missing = 8 - head.length - tail.length
  if (halves.length === 1 ? missing !== 0 : missing < 0) return undefined
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...tail]
  const numbers = groups.map((group) =>
    /^[0-9a-f]{1,4}$/i.test(group) ? Number.parseInt(group, 16) : Number.NaN,
  )
  return numbers.some(Number.isNaN) ? undefined : numbers
}

/** What placement counts of a holder. */
export interface Placeable {
  network: string | undefined
  /** It has proved to this node that it keeps what it is given. */
  isProven: boolean
}

/**
 * The same items in an order whose first n hold at most ⌈n/4⌉ of one network and `mostUnproven` that have proved nothing (those of
 * `present` counted with them), as far as there are enough others: whoever would be one too many stands back, and fills up what is left.
 */
export function spread<Item extends Placeable>(
  ordered: readonly Item[],
  n: number,
  { present = [], mostUnproven = n }: { present?: readonly Placeable[]; mostUnproven?: number } = {},
): Item[] {
  const most = Math.ceil(n / 4)
  const counts = new Map<string, number>()
  let unproven = 0
  const count = ({ network, isProven }: Placeable): void => {
    if (network !== undefined) counts.set(network, (counts.get(network) ?? 0) + 1)
    if (!isProven) unproven += 1
  }
  for (const item of present) count(item)
  const first = new Set<Item>()
  for (const item of ordered) {
    if (first.size === n) break
    if (item.network !== undefined && (counts.get(item.network) ?? 0) >= most) continue
    if (!item.isProven && unproven >= mostUnproven) continue
    count(item)
    first.add(item)
  }
  return [...first, ...ordered.filter((item) => !first.has(item))]
}
