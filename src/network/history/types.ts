/** A peer that this node has been connected to, as it is remembered over restarts. */
export interface KnownPeer {
  peer: string
  /** Where it was reached, the last first, then what it said about itself; each without the peer id. */
  addresses: string[]
  firstSeenMs: number
  lastSeenMs: number
  /** Connections, whoever opened them; dials that failed, in all and since the last connection. */
  successes: number
  failures: number
  failuresInRow: number
  /** Data of the content, chunk and Bitswap protocols. */
  bytesIn: number
  bytesOut: number
  latencyMs: number | null
  agent: string | null
}

/**
 * Peers and how they were, kept in state.db. What is reported is gathered and written later, in small batches; none of
 * these methods blocks or throws, but those that read.
 */
export interface PeerHistory {
  /** A connection was opened. `address`: where this node reached the peer; none for one that came. */
  connected(peer: string, address?: string): void
  /** What a connected peer says about itself: its agent, and where it can be reached. */
  identified(peer: string, said: { agent: string | null; addresses: readonly string[] }): void
  /** The last connection to a peer has ended. */
  disconnected(peer: string, latencyMs: number | null): void
  /** A dial failed. Peers that were never connected are not remembered for it. */
  failed(peer: string): void
  moved(peer: string, direction: 'in' | 'out', bytes: number): void

  get(peer: string): KnownPeer | undefined
  /** Those seen last, the last first. */
  recent(limit: number): KnownPeer[]
  /** Those to try first when peers are wanted, the best first; all with addresses. */
  candidates(limit: number): KnownPeer[]

  start(): void
  /** Writes what is left. */
  stop(): void
}
