/**
 * Bitswap 1.2.0, as all of IPFS speaks it: blocks by CID from and to any IPFS node.
 *
 * @example Serve what a store holds, and get a block from whoever is connected
 *
 * ```ts
 * const node = bitswap({ blocks: store, isPrivate: () => false, trust, findProviders, log })(libp2p)
 * await node.start()
 * const bytes = await node.want(cid, { signal: AbortSignal.timeout(10_000) })
 * ```
 *
 * A message holds wants, blocks, and answers to whether a block is there; each side sends its messages on streams that it opens. SPEC.md
 * beside this file says what is done where the public specification leaves a choice.
 *
 * Reading order: `message.ts` (the wire), `inbound.ts` (what comes), `sender.ts` (what goes), `ledger.ts` and `server.ts` (what
 * others want), `remote-peer.ts` and `wants.ts` (what this node wants), `limits.ts` (every bound).
 */
import type { Connection, Libp2p, PeerId } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import type { Logger } from '../../src/telemetry/types.ts'
import type { Evidence, Policy } from '../../src/trust/contract.ts'
import type { Bandwidth } from '../shared/bandwidth.ts'
import { BitswapService } from './bitswap.ts'

/** What is served. */
export interface ServedBlocks {
  get(cid: CID, options: { signal: AbortSignal }): Promise<Uint8Array | undefined>
  hasMany(cids: CID[]): Promise<boolean[]>
  /** In bytes, where it is held. */
  size(cid: CID): Promise<number | undefined>
  /** Tells of every block that is held from now on; returns how not to be told any more. */
  watch?(onPut: (cid: CID) => void): () => void
}

export interface BitswapInit {
  blocks: ServedBlocks
  /** What is neither asked for nor given away. */
  isPrivate: (cid: CID) => boolean
  /** Asked before serving (`serve-bitswap`) and before asking (`fetch`); told what peers did. */
  trust: Policy & Evidence
  /** Who may have a block that nobody connected has. */
  findProviders: (cid: CID, options: { signal: AbortSignal }) => AsyncIterable<{ id: PeerId }>
  /** Asked before messages move; nothing is limited without it. */
  bandwidth?: Bandwidth | undefined
  log: Logger
}

/** Of libp2p, what the service uses. It is not one of libp2p's own services: it starts when all of them have. */
export type BitswapComponents = Pick<
  Libp2p,
  | 'peerId'
  | 'handle'
  | 'unhandle'
  | 'register'
  | 'unregister'
  | 'dial'
  | 'addEventListener'
  | 'removeEventListener'
> & { getConnections(peer?: PeerId): Connection[] }

export interface BitswapStatistics {
  sentBlocks: number
  sentBytes: number
  receivedBlocks: number
  receivedBytes: number
  /** Of blocks that nobody had asked for, or that came too late. */
  unwantedBytes: number
  /** What this node wants now, and what others want of it. */
  ownWants: number
  peerWants: number
  /** Answers and messages in memory now. */
  answersInMemory: number
  inboundBytes: number
}

export interface Bitswap {
  readonly protocols: readonly string[]
  start(): Promise<void>
  stop(): Promise<void>
  /**
   * One verified block. Where nobody has it, it waits for the signal.
   * @throws ERR_BITSWAP_BUSY (16 384 are wanted already), ERR_BITSWAP_STOPPED; the signal's reason
   */
  want(cid: CID, options: { signal: AbortSignal }): Promise<Uint8Array>
  statistics(): BitswapStatistics
}

export function bitswap(init: BitswapInit): (components: BitswapComponents) => Bitswap {
  return (components) => new BitswapService(components, init)
}
