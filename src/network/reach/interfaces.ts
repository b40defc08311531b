import { BlockList } from 'node:net'
import { networkInterfaces } from 'node:os'

/** How long what the machine said about its interfaces is believed; they change when a cable or a tunnel does. */
const BELIEVED_MS = 10_000

/** The addresses and subnets of this machine, asked again when what is known is old. */
export interface Interfaces {
  /** Whether it is an address of this machine itself. */
  isOwn(host: string): boolean
  /** Whether it lies in a network that this machine is on. */
  isNear(host: string, family: 'ipv4' | 'ipv6'): boolean
}

export function machineInterfaces(read: typeof networkInterfaces = networkInterfaces): Interfaces {
  let own = new Set<string>()
  let near = new BlockList()
  let readAtMs = Number.NEGATIVE_INFINITY

  function refresh(): void {
    if (performance.now() - readAtMs < BELIEVED_MS) return
    readAtMs = performance.now()
    own = new Set()
    near = new BlockList()
    for (const { address, cidr, family } of Object.values(read()).flatMap((list) => list ?? [])) {
      own.add(address)
      const prefix = Number(cidr?.split('/')[1])
      if (Number.isInteger(prefix)) near.addSubnet(address, prefix, family === 'IPv4' ? 'ipv4' : 'ipv6')
    }
  }

  return {
    isOwn(host) {
      refresh()
      return own.has(host)
    },
    isNear(host, family) {
      refresh()
      return near.check(host, family)
    },
  }
}
