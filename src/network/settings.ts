/** What the network reads of the configuration; the daemon's `Config` fits as it is. */
export interface NetworkSettings {
  readonly network: {
    /** `private`: loopback and local networks; `public`: the open Internet. */
    readonly mode: 'private' | 'public'
    /** Part of every protocol id and topic, so that two networks do not mix. */
    readonly name: string
    /** Multiaddrs to listen on; with an empty list the node dials only. */
    readonly listen: readonly string[]
    /** Multiaddrs to connect to at the start. */
    readonly bootstrap: readonly string[]
    /** `auto`: a server in a private network, and in the public one as soon as it is reached from outside. */
    readonly dht: 'auto' | 'server' | 'client'
    readonly mdns: boolean
    readonly maxConnections: number
    readonly maxInboundPerIpPerSecond: number
  }
}

/** The prefix of every protocol id and topic of one network. */
export function networkPrefix(networkName: string): string {
  return `/p2pnode/${networkName}`
}
