import type { PeerId } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { MultihashDigest } from 'multiformats/hashes/interface'

/** A peer as others may look for it. */
export interface RoutedPeer {
  /** Base58 text of the peer id. */
  id: string
  /** Multiaddrs without the peer id. */
  addrs: string[]
  /** Transfer protocols that it is known to speak (`transport-bitswap`); empty where that is not known. */
  protocols: string[]
}

/** What this node knows, and finds out over its DHT, for others who ask. */
export interface RoutingSource {
  /** Who has the content: this node first where it has. Nobody for what is private. Ends with the signal. */
  providers(cid: CID, options: { signal: AbortSignal }): AsyncIterable<RoutedPeer>
  /** Undefined where nobody knows the peer. */
  peer(id: PeerId, options: { signal: AbortSignal }): Promise<RoutedPeer | undefined>
  /** The peers nearest to a key in the DHT, the nearest first. */
  closest(key: MultihashDigest, options: { signal: AbortSignal }): Promise<RoutedPeer[]>
}
