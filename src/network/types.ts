import type { PeerId } from '@libp2p/interface'

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
}

export interface Network {
  readonly peerId: PeerId
  readonly did: string
  /** Addresses that others can dial, each with the peer id. */
  addresses(): string[]
  peers(): PeerSummary[]
  peerCount(): number
  /** @throws ERR_ADDRESS_INVALID, ERR_DIAL_FAILED, ERR_DENIED, ERR_CANCELLED */
  connect(multiaddr: string, signal: AbortSignal): Promise<PeerSummary>
  /** @throws ERR_PEER_NOT_CONNECTED */
  disconnect(peer: string): Promise<void>
  onChange(listener: (event: { type: 'connected' | 'disconnected'; peer: string }) => void): () => void
}
