/** What the network reads of the configuration; the daemon's `Config` fits as it is. */
export interface NetworkSettings {
  readonly network: {
    /** `private`: loopback and local networks; `public`: the open Internet. */
    readonly mode: 'private' | 'public'
    /** Part of every protocol id and topic, so that two networks do not mix. */
    readonly name: string
    /** Multiaddrs to listen on; with an empty list the node dials only. */
    readonly listen: readonly string[]
    /** Multiaddrs that others are told, in place of those found out; empty for what is found out. */
    readonly announce: readonly string[]
    /** Multiaddrs to connect to at the start. */
    readonly bootstrap: readonly string[]
    /** `auto`: a server in a private network unless it is behind a NAT, and in the public one as soon as it is reached from outside. */
    readonly dht: 'auto' | 'server' | 'client'
    readonly mdns: boolean
    /** Below so many peers the node looks for further ones. */
    readonly minConnections: number
    readonly maxConnections: number
    readonly maxInboundPerIpPerSecond: number
    readonly autonat: boolean
    readonly holePunching: boolean
    readonly upnp: boolean
    /** STUN servers for WebRTC between two NATs, `stun:host:port`. */
    readonly iceServers: readonly string[]
    readonly transports: {
      readonly tcp: boolean
      readonly websocket: boolean
      readonly quic: boolean
      readonly webrtcDirect: boolean
      readonly webrtc: boolean
    }
    readonly relay: {
      /** Slots at relays: `auto` while this node cannot be reached, `never` neither takes one nor dials through one. */
      readonly client: 'auto' | 'always' | 'never'
      readonly server: boolean
      readonly maxReservations: number
      /** Of one relayed connection, both ways together. */
      readonly dataLimitBytes: number
      readonly timeLimitMs: number
    }
    readonly peers: {
      /** Peer ids whose connections are never given up for others. */
      readonly protect: readonly string[]
    }
  }
}

/** The prefix of every protocol id and topic of one network. */
export function networkPrefix(networkName: string): string {
  return `/p2pnode/${networkName}`
}
