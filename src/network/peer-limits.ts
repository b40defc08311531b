/** Bounds of what single peers may do, and of looking for further ones, each with its reason. */

export const PEER_RATE_LIMITS = {
  /** Connections at once: two nodes that dial each other over several transports at once make four. */
  maxConnections: 8,
  /** Inbound connections of one peer: one that loses its network comes back a few times a minute. */
  connectionBurst: 16,
  connectionsPerMinute: 30,
  /**
   * Streams of one peer. Bitswap opens one for each message, about a hundred a second; a node that comes back asks for
   * hundreds of records at once. Each costs about half a millisecond before its protocol is known.
   */
  streamBurst: 2_048,
  streamsPerSecond: 256,
  /** How long a peer that went beyond is refused. */
  outMs: 60_000,
  /** Peers whose rates are remembered, about 200 bytes each: more than an operator may allow to be connected. */
  maxPeers: 16_384,
} as const

/**
 * Inbound connections that libp2p lets through to the end of the handshake when this node is full: only there it is known
 * whether they are worth more than one that is there.
 */
export const JUDGED_CONNECTIONS = 32

export const FINDER_LIMITS = {
  /** Peers dialled at once. */
  parallelDials: 4,
  /** Of those that are remembered, dialled in one search. */
  candidates: 32,
  /** Walks through the DHT in one search. */
  walks: 2,
  /** Each finds so many peers (the k of Kademlia), fewer only where there are no more. */
  peersPerWalk: 20,
  /** A whole search: dials of peers that do not answer take the longest. */
  searchMs: 60_000,
  /** After the loss of a peer, so that one that comes back at once is not looked for. */
  afterLossMs: 2_000,
  /** Between searches that found nobody: a small network simply has no more peers, and asking costs everybody. */
  firstPauseMs: 30_000,
  maxPauseMs: 15 * 60_000,
  /** A peer that could not be reached is left alone for so long, doubled each time. */
  firstRetryMs: 30_000,
  maxRetryMs: 60 * 60_000,
  /** Of those so many are remembered; over that the oldest is forgotten. */
  maxFailed: 1_024,
} as const
