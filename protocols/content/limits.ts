/**
 * The protocol's bounds. Those in `ContentLimits` may be set by whoever builds the service; the others are part of the
 * protocol, or too closely tied to its code to be a choice.
 */
export interface ContentLimits {
  /** Credit that a client grants on each stream, bytes. */
  creditWindowBytes: number
  /** Data in one frame that a server sends, bytes. */
  frameDataBytes: number
  /** Inbound streams of one peer, and of all. */
  maxInboundStreamsPerPeer: number
  maxInboundStreams: number
  /** Outbound streams to one peer; who wants more waits. */
  maxOutboundStreamsPerPeer: number
  /** Blocks that a server reads ahead of what it has sent, for one stream. */
  readAheadBlocks: number
  /** The same for one peer, and for all. */
  maxBlocksInMemoryPerPeer: number
  maxBlocksInMemory: number
  /** A source that owes blocks and sends nothing for so long is given up. */
  sourceIdleMs: number
  /** A client that has asked and takes nothing for so long is cut off. */
  clientIdleMs: number
  /** A stream without any want is closed after so long by the server. */
  unusedStreamMs: number
  /** A client keeps a stream without wants so long for the next fetch. */
  pooledStreamMs: number
  /** No block from any source for so long ends a fetch. */
  stallTimeoutMs: number
}

export const defaultLimits: ContentLimits = {
  // A gigabit over 60 ms holds 7.5 MiB in flight. On loopback 4, 8 and 16 MiB measured alike.
  creditWindowBytes: 8 * 1024 * 1024,
  // A quarter of the largest frame allowed. Writes do not depend on it, 64 KiB to 1 MiB measured alike; smaller frames
  // let a slow client's credit move in smaller steps.
  frameDataBytes: 256 * 1024,
  // A client fetches one DAG a stream, and a person's browser opens a dozen things at once.
  maxInboundStreamsPerPeer: 16,
  // 256 idle streams cost a few MiB; what they may hold in memory is bounded separately.
  maxInboundStreams: 256,
  maxOutboundStreamsPerPeer: 8,
  // Eight parallel reads hide a disk's latency (250 one at a time against 2 250 MiB/s in batches, measured).
  readAheadBlocks: 8,
  // Two streams at full read-ahead.
  maxBlocksInMemoryPerPeer: 16,
  // At 1 MiB a block 48 MiB, at the largest block size 96 MiB.
  maxBlocksInMemory: 48,
  // A congested path loses a second or two; a peer that is silent for five is slower than asking another.
  sourceIdleMs: 5_000,
  // A slow client must take one write (256 KiB) in this time: 9 KiB/s.
  clientIdleMs: 30_000,
  unusedStreamMs: 60_000,
  // Shorter than the server's, so that the client is never the one who finds the stream gone.
  pooledStreamMs: 20_000,
  stallTimeoutMs: 30_000,
}

/** The largest block that any part of the house keeps or sends. */
export const MAX_BLOCK_BYTES = 2 * 1024 * 1024

/** Each data frame costs its data and this: so that empty blocks are not free, and their bookkeeping is bounded too. */
export const FRAME_COST_BYTES = 64

/** A part of a block is no smaller, but the last, however little credit or bandwidth there is. */
export const MIN_PART_BYTES = 1024

/** Blocks that a server reads ahead of what it has sent where its bandwidth is limited. */
export const SLOW_READ_AHEAD_BLOCKS = 2

/** Less data than this in `stallTimeoutMs`, with no whole block either, is no progress: about 1 KiB/s. */
export const MIN_PROGRESS_BYTES = 32 * 1024

/**
 * The smallest window that works: a server waits for the credit of a whole frame, and credit is granted anew for whole
 * blocks, so the largest block must fit, however it is cut.
 */
export const MIN_CREDIT_WINDOW_BYTES = 2 * MAX_BLOCK_BYTES

/** CIDs in one Want or Missing: 512 of the longest usual kind (68 bytes) fit into a control message. */
export const MAX_CIDS_PER_MESSAGE = 512

/** Wants that a client may have open on one stream. The scheduler here uses a few dozen. */
export const MAX_OPEN_WANTS = 256

/** CIDs of all open wants of a stream: about 1 MiB of memory for one that wants as much as it may. */
export const MAX_OPEN_CIDS = 4096

/** Segments of a path, and their bytes in all: what fits into a URL. */
export const MAX_PATH_SEGMENTS = 128
export const MAX_PATH_BYTES = 4096

/** A server that fetches from elsewhere may look for providers first, and dial them. */
export const PROXY_IDLE_MS = 45_000

/** CIDs in one Proxy: each is a search of its own at the server. A client has few open at a time. */
export const MAX_PROXY_CIDS = 32

/** Blocks that a server has on their way from elsewhere, or ready to be sent, for all peers and for one: 64 MiB at the largest. */
export const MAX_PROXIED_BLOCKS = 32
export const MAX_PROXIED_BLOCKS_PER_PEER = 8

/** CIDs that a client may name as held in one Want. */
export const MAX_HELD_CIDS = 512

/** Links from a root to the deepest block. A file of 2^63 bytes has 8 levels, deep directory trees a few dozen. */
export const MAX_DAG_DEPTH = 256

/** Blocks that a server sends for one Want; who wants more asks for what is below. */
export const MAX_BLOCKS_PER_WANT = 16_384

/** CIDs that a server remembers as still to visit for one Want: about 20 MiB at worst, a directory of 65 536 entries. */
export const MAX_PENDING_VISITS = 65_536

/** After so many blocks that it does not hold, a server ends a Want by root. */
export const MAX_MISSING_PER_WANT = 64

/** The first question of a fetch, by root: small DAGs arrive in one round trip, large ones wait for no more than this. */
export const FIRST_WANT_BLOCKS = 64
export const FIRST_WANT_BYTES = 2 * 1024 * 1024

/** Sources that a fetch uses at the same time; with the default window they may have 64 MiB under way. */
export const MAX_ACTIVE_SOURCES = 8

/** Sources that a fetch remembers; the iterable is not read further until one is given up. */
export const MAX_KNOWN_SOURCES = 64

/** A peer that failed so often is not used again by the same fetch. */
export const MAX_ATTEMPTS_PER_PEER = 3

/** A lost source is tried again after so long, times the number of attempts. */
export const RETRY_AFTER_MS = 1_000

/** Blocks that were asked from one source and have not arrived: enough for 2 000 small blocks a second at 100 ms. */
export const MAX_OUTSTANDING_BLOCKS = 256

/** Time of its measured speed that a source is asked ahead: covers a round trip across the world and a busy event loop. */
export const OUTSTANDING_MS = 500

/** What a source is asked ahead at least and at most: a little; the window under way and as much queued behind it. */
export const MIN_OUTSTANDING_BYTES = 64 * 1024
export const MAX_OUTSTANDING_BYTES = 16 * 1024 * 1024

/** Bytes handed to the sink and not yet kept. Above it no credit is granted: a slow disk slows the network down. */
export const MAX_PENDING_PUT_BYTES = 32 * 1024 * 1024

/** CIDs that a fetch remembers as still to get; nodes beyond it are read again from the store when their turn comes. */
export const MAX_FRONTIER = 32_768

/** Inner nodes that a fetch remembers as expanded, so that a subtree reached twice is walked once. */
export const MAX_VISITED_NODES = 65_536

/** Misses in a row after which a source is only asked for what the others do not have. */
export const MISSES_BEFORE_REST = 32

/** Blocks of one fetch that helpers are asked for at once: 64 MiB at the largest, 32 MiB of usual leaves. */
export const MAX_HELPED_BLOCKS = 32

/** Peers have so long before helpers are asked for what none of them has brought, as long as more peers may come. */
export const PEERS_HEAD_START_MS = 1_000

/** Single blocks: the next peer is asked as well when one has not answered for so long. */
export const HEDGE_AFTER_MS = 1_000

/** Progress is reported at most so often. */
export const PROGRESS_INTERVAL_MS = 200

/** Bits of a filter of content roots, bytes: 54 000 roots at 1 % false positives, and an exchange with 8 peers in half a MiB. */
export const MAX_FILTER_BITS_BYTES = 64 * 1024

/** The block around them: two numbers and the lengths. */
export const MAX_FILTER_BYTES = MAX_FILTER_BITS_BYTES + 64

/** Fewer bits than that cost as much to send, and lie more. */
export const MIN_FILTER_BITS_BYTES = 8

/** Positions of a root in a filter: 1 % takes 7, a filter that would profit from more is too large to be sent. */
export const MAX_FILTER_HASHES = 16

/**
 * A filter that would say yes to more than this of what it was never given tells nothing. An honest one is made for 1 %; a
 * small one varies.
 */
export const MAX_FILTER_FALSE_POSITIVES = 0.05

/** What capabilities may hold; the longest did:key (RSA) has 400 characters, a multiaddr with certificate hashes 500. */
export const MAX_DID_CHARACTERS = 512
export const MAX_NAME_CHARACTERS = 64
export const MAX_URL_CHARACTERS = 512
export const MAX_CAPABILITY_ADDRESSES = 16
export const MAX_ADDRESS_CHARACTERS = 512
export const MAX_VERSIONS = 16

/** An exchange of capabilities is two small messages; a peer that needs longer is not asked now. */
export const CAPABILITIES_TIMEOUT_MS = 10_000

/** Capabilities that one peer may tell in a minute; a node that follows the rules tells them at a connection and twice an hour. */
export const MAX_CAPABILITIES_PER_MINUTE = 12

/** Peers of which that is counted: more than a node is connected to by default, each about 100 bytes. */
export const MAX_TELLING_PEERS = 1024
