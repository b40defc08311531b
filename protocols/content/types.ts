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
  put(cid: CID, bytes: Uint8Array, options: { signal: AbortSignal; verified: true }): Promise<void>
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

export interface FetchDagOptions {
  scope: Scope
  /** Path segments below the root, resolved on the way. */
  path?: string[]
  range?: ByteRange
  /** Peers to ask, in order of preference; may yield more while the fetch runs; ends when no more will come. */
  sources: AsyncIterable<PeerId> | Iterable<PeerId>
  held: BlockSource
  sink: BlockSink
  signal: AbortSignal
  /** No block from any source for so long ends the fetch with ERR_FETCH_STALLED. */
  stallTimeoutMs?: number
  onProgress?: (statistics: FetchStatistics & { knownBytes: number }) => void
}

/** A DAG on its way. */
export interface DagFetch {
  /** Resolves when everything in scope is in the sink; rejects with ERR_NOT_FOUND, ERR_FETCH_STALLED, ERR_CANCELLED. */
  readonly done: Promise<FetchStatistics>
  readonly statistics: FetchStatistics
  /** Puts the block first in line and resolves once it is held; rejects when the fetch fails. */
  need(cid: CID, signal: AbortSignal): Promise<Uint8Array>
}

/** The service: exchanges public blocks and DAGs with peers that speak `/p2pnode/<network>/content/<version>`. */
export interface Content {
  readonly protocols: string[]
  /** Connected peers that speak the protocol. */
  peers(): PeerId[]
  /** One block from the first of the peers that has it, verified. @throws ERR_NOT_FOUND, ERR_CANCELLED */
  fetchBlock(
    cid: CID,
    options: { peers?: PeerId[]; signal: AbortSignal },
  ): Promise<{ bytes: Uint8Array; peer: PeerId }>
  /** Spreads a DAG over several sources: no block twice, slow ones get less, a lost one's share is taken over. */
  fetchDag(root: CID, options: FetchDagOptions): DagFetch
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
