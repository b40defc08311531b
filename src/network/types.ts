import type { PeerId } from '@libp2p/interface'
import type { KnownPeer } from './history/index.ts'

/** One connected peer, as `p2pnode peers` shows it. */
export interface PeerSummary {
  peer: string
  /** Empty for the rare peer whose key has no `did:key` form. */
  did: string
  addresses: string[]
  direction: 'inbound' | 'outbound'
  /** True for a connection through a relay with limits. */
  limited: boolean
  transport: string
  connectedAtMs: number
  latencyMs: number | null
  streams: number
  protocols: string[]
  agent: string | null
  score: number
  /** Data of the content, chunk and Bitswap protocols, over all connections that there ever were. */
  bytesIn: number
  bytesOut: number
  /** When it was connected for the first time, and how often; null where nothing is remembered. */
  firstSeenMs: number | null
  connections: number
  failures: number
}

/** A peer that is remembered and not connected, as `p2pnode peers --known` shows it. */
export interface AwayPeer extends KnownPeer {
  did: string
  score: number
}

export interface Network {
  readonly peerId: PeerId
  readonly did: string
  /** Addresses that others can dial, each with the peer id. */
  addresses(): string[]
  peers(): PeerSummary[]
  peerCount(): number
  /** Those that are away, the last seen first. */
  known(limit: number): AwayPeer[]
  /** @throws ERR_ADDRESS_INVALID, ERR_DIAL_FAILED, ERR_DENIED, ERR_CANCELLED */
  connect(multiaddr: string, signal: AbortSignal): Promise<PeerSummary>
  /** @throws ERR_PEER_NOT_CONNECTED */
  disconnect(peer: string): Promise<void>
  onChange(listener: (event: { type: 'connected' | 'disconnected'; peer: string }) => void): () => void
}
