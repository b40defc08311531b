import type { PeerId } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'

/** How much of a DAG is wanted below the block that a path ends at. Scopes are those of the trustless gateway (IPIP-402). */
export type Scope = 'block' | 'entity' | 'all'

/** A range of a file in bytes, both ends inclusive, as in IPIP-402's `entity-bytes`; negative: from the end. */
export interface ByteRange {
  from: number
  to?: number
}

/** Where the protocol reads what it serves, and what a client already holds. */
export interface BlockSource {
  get(cid: CID, options: { signal: AbortSignal }): Promise<Uint8Array | undefined>
  has(cid: CID): Promise<boolean>
}

/** Where a client puts verified blocks. Resolves once the block is kept as durably as the store promises. */
export interface BlockSink {
  put(
    cid: CID,
    bytes: Uint8Array,
    /** `private`: whoever sent it says that it is for peers of this network alone. */
    options: { signal: AbortSignal; verified: true; private?: boolean },
  ): Promise<void>
}

/** Fetches blocks from elsewhere for peers that ask for it, within whatever bounds it keeps. */
export interface ProxyServer {
  /** Whether this peer may ask for one more block now. */
  admits(peer: string, cid: CID): boolean
  /** The block, verified; undefined where it is not to be had, or the peer may have no more. Never rejects but by the signal. */
  fetch(peer: string, cid: CID, options: { root: CID; signal: AbortSignal }): Promise<Uint8Array | undefined>
}

export interface FetchStatistics {
  blocks: number
  bytes: number
  /** Blocks that were held before and not asked for. */
  heldBlocks: number
  /** By text form of the peer id: what each source delivered. */
  sources: Record<string, { blocks: number; bytes: number; failures: number }>
  /** Blocks that arrived again although they were held; should be 0. */
  duplicateBlocks: number
}

/** Something other than a peer of this protocol that brings blocks, one by one. */
export interface Helper {
  /** How long it has a block to itself before the next one is asked as well. */
  readonly headStartMs: number
  /**
   * The block, which the fetch verifies, and under what name it counts among the sources. @throws where it is not to be had from here
   * within a time of the helper's own. The signal's reason is `BroughtElsewhere` where another one brought it meanwhile.
   */
  fetch(cid: CID, options: { signal: AbortSignal }): Promise<{ bytes: Uint8Array; from: string }>
}

export interface FetchDagOptions {
  scope: Scope
  /** Path segments below the root, resolved on the way. */
  path?: string[]
  range?: ByteRange
  /** Peers to ask, in order of preference; may yield more while the fetch runs; ends when no more will come. */
  sources: AsyncIterable<PeerId> | Iterable<PeerId>
  /** Asked, in this order, for what no source has, or has brought in time. */
  helpers?: readonly Helper[]
  /**
   * How many of them to use at once for so many bytes, at most 8; undefined: it is not known yet how many. More are used where
   * one lacks something, breaks off, or the fetch goes on for over two seconds. Without it: 8.
   */
  sourceCount?: (bytes: number | undefined) => number
  /** Told of each source when it is done with. Must not throw. */
  onSource?: (outcome: SourceOutcome) => void
  held: BlockSource
  sink: BlockSink
  signal: AbortSignal
  /** No block from any source for so long ends the fetch with ERR_FETCH_STALLED. */
  stallTimeoutMs?: number
  onProgress?: (statistics: FetchStatistics & { knownBytes: number }) => void
}

/** How a source did in one fetch, or in a part of it: one that comes back is told of again. */
export interface SourceOutcome {
  peer: PeerId
  blocks: number
  bytes: number
  /** Blocks that it was asked for and did not have, or did not give. */
  missing: number
  /** Why it was lost: it sent wrong bytes or broke rules; or it could not be reached, broke off, was silent or too slow. */
  lost: 'invalid' | 'failed' | null
  /** How long it had something to send. */
  transferMs: number
  /** From the first question to the first answer. */
  latencyMs: number | null
}

/** A DAG on its way. */
export interface DagFetch {
  /** Resolves when everything in scope is in the sink; rejects with ERR_NOT_FOUND, ERR_FETCH_STALLED, ERR_CANCELLED. */
  readonly done: Promise<FetchStatistics>
  readonly statistics: FetchStatistics
  /**
   * Puts the block first in line and resolves once it is held or has come: what is public is given on before the sink has
   * it, so that a reader does not wait for the disk. Rejects when the fetch fails.
   */
  need(cid: CID, signal: AbortSignal): Promise<Uint8Array>
  /** Resolves when nothing that has come is on its way into the sink any more, however the fetch ended. */
  kept(): Promise<void>
}

/** The service: exchanges public blocks and DAGs with peers that speak `/p2pnode/<network>/content/<version>`. */
export interface Content {
  readonly protocols: string[]
  /** Connected peers that speak the protocol. */
  peers(): PeerId[]
  /** Of those the ones that know `Proxy`; whether they fetch for us they say when asked. */
  proxies(): PeerId[]
  /**
   * One block of the DAG `root` that the peer fetches from elsewhere, verified.
   * @throws ERR_NOT_FOUND, ERR_PROXY_REFUSED where the peer does no (more) such thing for us, ERR_STREAM_FAILED, ERR_CANCELLED
   */
  fetchByProxy(cid: CID, options: { peer: PeerId; root: CID; signal: AbortSignal }): Promise<Uint8Array>
  /**
   * One block from the first of the peers that has it, verified. A peer that would send more than `maxBytes` breaks a rule.
   * @throws ERR_NOT_FOUND, ERR_CANCELLED
   */
  fetchBlock(
    cid: CID,
    options: { peers?: PeerId[]; maxBytes?: number; signal: AbortSignal },
  ): Promise<{ bytes: Uint8Array; peer: PeerId; isPrivate: boolean }>
  /** Spreads a DAG over several sources: no block twice, slow ones get less, a lost one's share is taken over. */
  fetchDag(root: CID, options: FetchDagOptions): DagFetch
  /**
   * Tells a peer what this node is and has, and returns what the peer says of itself.
   * @throws ERR_CAPABILITIES_UNSUPPORTED where one of both does not take part, ERR_STREAM_FAILED, ERR_PROTOCOL_VIOLATION,
   * whatever the signal aborts with
   */
  exchangeCapabilities(peer: PeerId, signal: AbortSignal): Promise<Capabilities>
  /** Bytes and blocks served and fetched since start, and streams open now. */
  statistics(): {
    servedBytes: number
    servedBlocks: number
    fetchedBytes: number
    fetchedBlocks: number
    inboundStreams: number
    outboundStreams: number
  }
}

/** What a node can do beside this protocol to get public content; the table of SPEC.md. */
export type IpfsSide = 'none' | 'gateway-only' | 'helia' | 'kubo'

/** What a node is, and what it has, as it tells its peers. Claims, all of them, but for `did`. */
export interface Capabilities {
  /** The peer's own, checked against the connection. */
  did: string
  /** `master`, `worker`, `leecher`; a name of at most 64 characters. */
  role: string
  /** Versions of what the node runs by name: `p2pnode`, `content`. */
  versions: Record<string, string>
  ipfs: IpfsSide
  /** URL of an HTTP gateway that anybody may use. */
  gatewayUrl: string | null
  /** Multiaddrs, as text. */
  addresses: string[]
  /** What it sends to one peer at most; null: as fast as it can. */
  bandwidthBytesPerSecond: number | null
  /** What it can still store. */
  freeBytes: number
  /** The block that holds the filter of its content roots, to be fetched by CID; null: it tells nothing. */
  filter: { cid: CID; bytes: number } | null
}

/** Where capabilities come from and go to. Without it a node tells nothing, and answers nobody. */
export interface CapabilitiesInit {
  own(): Capabilities
  /** A peer that takes part has come; `isDialled`: this node called it. Must return at once, like all that follow. */
  onPeer(peer: PeerId, isDialled: boolean): void
  onPeerGone(peer: PeerId): void
  /** The DID that belongs to a peer; undefined where it has none. */
  didOf(peer: PeerId): string | undefined
  /** A peer told this, unasked. Checked and bounded. */
  onTold(peer: PeerId, capabilities: Capabilities): void
}
