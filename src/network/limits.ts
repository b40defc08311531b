/**
 * Every bound of the libp2p layer in one place. What an operator may change is in the configuration; what is here
 * holds the layers together and is not a matter of taste.
 */

const KIB = 1024
const MIB = 1024 * KIB

export const YAMUX_LIMITS = {
  /** The receive window starts here: 1 MiB kills a connection to a peer with the default window. */
  initialStreamWindowBytes: 256 * KIB,
  /** Grown windows stay below the 4 MiB read buffer, else a paused stream overflows and is reset. */
  maxStreamWindowBytes: 2 * MIB,
  /** One connection's streams; protocols have their own, lower limits. With full windows: 512 MiB at worst, 64 MiB at the start. */
  maxInboundStreams: 256,
  maxOutboundStreams: 256,
  /** Streams that the other side opened before our side was ready to hear of them. */
  maxEarlyStreams: 16,
  /** A stream that nobody reads is reset, not kept. */
  maxReadBufferBytes: 4 * MIB,
  /**
   * What a writer that ignores `drain` may pile up before its stream is reset. Bitswap is one: it answers a whole
   * want-list at once, which we hold at 64 blocks of 1 MiB.
   */
  maxWriteBufferBytes: 64 * MIB,
  /** Its own pings, by which windows know the round trip; whether the other side is there is the concern of `liveness`. */
  keepAliveMs: 120_000,
} as const

export const CONNECTION_LIMITS = {
  /**
   * Connections on their way through the handshake. An address that opens and stays silent holds
   * `maxInboundPerIpPerSecond` × `inboundUpgradeTimeoutMs` of them (50 with the defaults), so that ten such addresses are
   * needed to keep others waiting; the library's own default, 10, one silent address fills in two seconds.
   */
  maxIncomingPending: 512,
  /** A handshake is three round trips, but both machines may be busy: at 5 s, thirty nodes on two loaded cores failed. */
  inboundUpgradeTimeoutMs: 10_000,
  protocolNegotiationTimeoutMs: 10_000,
  /** One address may be slow, a whole dial may try several. */
  addressDialTimeoutMs: 10_000,
  dialTimeoutMs: 20_000,
  /** Graceful close of one connection before it is cut. */
  closeTimeoutMs: 1_000,
  /** A connection without an answer for so long is dead. Wide, since a busy machine's event loop must not cost it its peers. */
  pingTimeoutMs: 15_000,
  /**
   * Each ping is a stream with its negotiation, and writes to the peer store at both ends: most of what an idle node does.
   * A transfer notices by itself, within seconds, that its peer is gone.
   */
  pingIntervalMs: 60_000,
  /** Under way at once. Those that are not answered wait for `pingTimeoutMs`: a thousand connections in a minute have room for 64 dead ones. */
  maxConcurrentPings: 16,
  maxParallelDials: 32,
  maxDialQueueLength: 256,
  maxAddressesPerPeer: 16,
  /** Half-open and closing sockets that the listener holds besides `maxConnections` and those in the handshake. */
  spareSockets: 64,
} as const

export const QUIC_LIMITS = {
  /** As yamux's: streams of one connection that the other side may have open. */
  maxInboundStreams: 256,
  /** What the other side may have in flight: on one stream (two blocks), and on the whole connection. */
  maxStreamBytes: 2 * MIB,
  maxConnectionBytes: 16 * MIB,
  handshakeTimeoutMs: 10_000,
  /** Without a packet for so long the connection is dead; the other side's silence is broken by keep-alive packets. */
  idleTimeoutMs: 30_000,
  keepAliveMs: 10_000,
} as const

export const WEBRTC_LIMITS = {
  /** Streams that the other side opened before our side was ready to hear of them; as yamux's. */
  maxEarlyStreams: 16,
  /** Inbound connections in the making: each is a native object of some 100 KiB with its DTLS handshake. */
  maxPending: 64,
} as const

export const STREAM_LIMITS = {
  /** How often all connections are looked over. */
  sweepMs: 10_000,
  /**
   * Streams of one connection whatever carries it, ours and theirs: yamux allows 256 each way, WebRTC any number.
   */
  maxPerConnection: 512,
  /**
   * An inbound QUIC stream whose other side has ended may have been reset, which is not told: it is given up after so
   * long. No protocol of ours answers that late.
   */
  halfClosedMs: 120_000,
} as const

export const RELAY_LIMITS = {
  /** Slots that a node takes: one may go away. */
  slots: 2,
  /**
   * A slot is renewed some minutes before it ends. Short, since a relay learns only by this that somebody went without
   * a word.
   */
  reservationMs: 30 * 60_000,
  reserveTimeoutMs: 10_000,
  hopTimeoutMs: 20_000,
  /** Ways through the relay that one peer may ask for at the same time, and those that lead to one peer. */
  maxHopStreams: 32,
  maxStopStreams: 64,
  /** Peers looked at in one search for relays, and the pause between two: a search dials. */
  walkPeers: 20,
  walkPauseMs: 10 * 60_000,
} as const

export const REACH_LIMITS = {
  /** Peers whose word on our address is remembered; the latest ones. */
  maxObservers: 64,
  /** One AutoNAT request with its dial. */
  autonatTimeoutMs: 20_000,
  autonatStreams: 2,
  /** Attempts to make a hole, each with a dial at the same moment on both sides. */
  holePunchTimeoutMs: 10_000,
  holePunchRetries: 3,
} as const

export const DHT_LIMITS = {
  maxInboundStreams: 32,
  maxOutboundStreams: 64,
  /** kad-dht's own records: an IPNS record with a certificate stays below 10 KiB (its specification's limit). */
  maxRecordBytes: 10 * KIB,
  /**
   * Records (values and providers) that peers may leave here. kad-dht has no quota of its own, and each is a row of
   * state.db of about 300 bytes: 30 MB at worst.
   */
  maxStoredRecords: 100_000,
  /** Provider records of one peer: roots only are provided, so that 10 000 is a large collection. */
  maxStoredRecordsPerPeer: 10_000,
} as const

export const GOSSIP_LIMITS = {
  /** The longest message a topic may allow: what DESIGN calls a control message. */
  maxMessageBytes: 64 * KIB,
  /** One RPC: an answer to IWANT carries many messages in one frame, here 32 of the longest. */
  maxRpcBytes: 2 * MIB,
  /** A peer that does not read: two such answers, then its stream is reset. */
  maxOutboundBufferBytes: 4 * MIB,
  maxInboundStreams: 2,
  maxOutboundStreams: 2,
  /** Topics of one peer, in bytes with the library's overhead of 1 KiB each: 64 topics. */
  maxTopicBytesPerPeer: 96 * KIB,
  /** Entries of one RPC. Ids stay at the library's figure, which its senders use up. */
  maxSubscriptionsPerRpc: 256,
  maxMessagesPerRpc: 1_024,
  maxControlPerRpc: 256,
  maxIdsPerRpc: 5_000,
  maxPeersPerPrune: 16,
  /** A message is known for two minutes: longer than any copy travels, and 2 000 messages a second stay below 50 MB. */
  seenTtlMs: 120_000,
} as const

export const IDENTIFY_LIMITS = {
  maxMessageBytes: 8 * KIB,
  timeoutMs: 5_000,
  /** Addresses that others say we have; the real ones are few. */
  maxObservedAddresses: 10,
} as const

export const SEEK_LIMITS = {
  /** A put waits for it: longer than a walk through a network of thousands takes where its peers answer. */
  timeoutMs: 5_000,
  /** Each finds up to 20 peers (the k of Kademlia). */
  walks: 4,
  /** How long a peer that has connected may take to say what it speaks: identify's own limit is 5 s. */
  greetingMs: 6_000,
  /** A search gives up after so many walks in a row that led to nobody new. */
  barrenWalks: 2,
  /**
   * Between such walks. Whoever is asked names peers that its routing table has, and kad-dht pings a peer before it takes it
   * in: one that has just joined is not named yet.
   */
  barrenPauseMs: 300,
  /**
   * After a search that found too few, the next one would find no more for a while; not for long, since a put is refused
   * meanwhile though a holder that restarted may be back.
   */
  pauseMs: 15_000,
  /**
   * A node so young may still be greeting those it was told of, and they those that start with it: a search then goes on to
   * its end instead of giving up.
   */
  youngMs: 30_000,
} as const

/** A libp2p beside the node's own: the door of a private network, and whoever knocks there. */
export const BARE_LIMITS = {
  /** Guests at the door at once; each stays for a question and an answer. */
  maxConnections: 32,
  maxStreams: 2,
  /** Longer than a knock may take (15 s). */
  connectionMs: 20_000,
} as const
