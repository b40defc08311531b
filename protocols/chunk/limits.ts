import { MAX_INDEX_PAYLOAD_BYTES, MAX_SEALED_BYTES, MAX_SEGMENTS } from './format/limits.ts'

/**
 * The protocol's bounds. Those in `ChunkLimits` may be set by whoever builds the service; the others are part of the
 * protocol, or too closely tied to its code to be a choice.
 */
export interface ChunkLimits {
  /** Credit that a holder grants for one store, bytes: what may be received and not yet written. */
  storeWindowBytes: number
  /** Credit that a client grants for one fetch, bytes: what may be received and not yet taken. */
  fetchWindowBytes: number
  /** Data in one frame that is sent, bytes. */
  frameDataBytes: number
  /** Inbound streams of one peer, and of all. */
  maxInboundStreamsPerPeer: number
  maxInboundStreams: number
  /** Inbound streams with requests, of one peer. */
  maxControlStreamsPerPeer: number
  /** Columns being stored here by one peer, and by all. */
  maxDraftsPerPeer: number
  maxDrafts: number
  /** Outbound streams to one peer, for stores and for fetches each; who wants more waits. */
  maxOutboundStreamsPerPeer: number
  /** Pieces that a holder reads ahead of what it has sent, for one stream. */
  readAheadPieces: number
  /** The same and pieces read for audits, for one peer, and for all. */
  maxPiecesInMemoryPerPeer: number
  maxPiecesInMemory: number
  /** A holder that owes an answer, credit or pieces and sends nothing for so long is given up. */
  holderIdleMs: number
  /** A client that is waited for (it has credit and sends nothing, or takes nothing) is cut off after so long. */
  clientIdleMs: number
  /** An owner that has opened a store may be slow for so long: its source may be. */
  storeIdleMs: number
  /** No store takes longer: its reservation and its place are needed. */
  maxStoreMs: number
  /** A stream that is not in use is closed after so long by the holder. */
  unusedStreamMs: number
  /** A client keeps a stream that is not in use so long. */
  pooledStreamMs: number
  /** A request is given up after so long. */
  requestTimeoutMs: number
}

export const defaultLimits: ChunkLimits = {
  // A put sends to n holders at once: 2 MiB each keep a gigabit over 100 ms busy from eight on.
  storeWindowBytes: 2 * 1024 * 1024,
  // A read has k sources at once. A gigabit over 30 ms for one source alone.
  fetchWindowBytes: 4 * 1024 * 1024,
  // Just above half a full sealed segment, so that neither a piece of k = 2 nor one of k = 1 leaves a crumb.
  frameDataBytes: 576 * 1024,
  // One for requests; eight stores and eight fetches as this client does, and as many again that just end.
  maxInboundStreamsPerPeer: 32,
  // Idle streams cost a few MiB; what they may hold in memory is bounded separately.
  maxInboundStreams: 512,
  // One is used; the second replaces it while the first is being closed.
  maxControlStreamsPerPeer: 2,
  maxDraftsPerPeer: 8,
  // With the window above 64 MiB under way at worst.
  maxDrafts: 32,
  maxOutboundStreamsPerPeer: 8,
  readAheadPieces: 4,
  // Two streams at full read-ahead.
  maxPiecesInMemoryPerPeer: 8,
  // With k = 1 about 34 MiB.
  maxPiecesInMemory: 32,
  // A commit flushes a column of up to 64 MiB to a disk that may be busy.
  holderIdleMs: 30_000,
  // A slow client must take one write (256 KiB) in this time: 9 KiB/s.
  clientIdleMs: 30_000,
  storeIdleMs: 60_000,
  // 64 MiB in an hour: 19 KiB/s.
  maxStoreMs: 60 * 60_000,
  unusedStreamMs: 60_000,
  // Shorter than the holder's, so that the client is never the one who finds the stream gone.
  pooledStreamMs: 20_000,
  // A forwarded query takes a few seconds at each of its hops.
  requestTimeoutMs: 30_000,
}

/** Each data frame costs its data and this: so that tiny frames are not free. */
export const FRAME_COST_BYTES = 64

/**
 * The smallest window that works: a sender waits for the credit of a whole frame (1 MiB at most), and credit is granted
 * anew when a quarter of the window has been dealt with.
 */
export const MIN_WINDOW_BYTES = 2 * 1024 * 1024

/** No part of a piece but its last is shorter: else what each costs in memory would be more than its credit. */
export const MIN_PART_BYTES = 16 * 1024

/** A whole piece: with k = 1 a sealed segment. */
export const MAX_PIECE_BYTES = MAX_SEALED_BYTES

export const MAX_COLUMN_BYTES = MAX_SEGMENTS * MAX_SEALED_BYTES

/** An index as `Signed`: its payload, the signature and their tags. Fits one data frame. */
export const MAX_INDEX_BYTES = MAX_INDEX_PAYLOAD_BYTES + 128

/** Requests that may be open on one stream, and the bytes of their messages. */
export const MAX_OPEN_REQUESTS = 64
export const MAX_OPEN_REQUEST_BYTES = 256 * 1024

/** Requests of one stream that are worked on at once, and queries among them: these wait for other peers. */
export const MAX_RUNNING_REQUESTS = 8
export const MAX_RUNNING_LOCATES = 4

/** Callers that wait for an open request to end, for one peer. */
export const MAX_WAITING_REQUESTS = 1024

/** Slabs in one Have: their answers, 48 bytes each at most, fit a control message. */
export const MAX_SLABS_PER_HAVE = 1024

/** Signed leases or deletions in one message: about 120 bytes each. */
export const MAX_STATEMENTS_PER_MESSAGE = 256

/** A peer id as text: 52 characters for Ed25519, a few more for other keys. */
export const MAX_PEER_TEXT = 128

export const MAX_PEERS_PER_HINT = 64

export const LOCATE_ID_BYTES = 16
export const MAX_SLABS_PER_LOCATE = 64
export const MAX_HOPS = 3
export const MAX_FOUND = 256
export const MAX_ADDRESSES = 8
export const MAX_ADDRESS_TEXT = 256

/** Of a Located message: what does not fit is left out. */
export const MAX_LOCATED_BYTES = 60 * 1024

/** A claim on a column for repair ends by itself; nothing takes a day to be rebuilt. */
export const MAX_CLAIM_MS = 24 * 60 * 60 * 1000
