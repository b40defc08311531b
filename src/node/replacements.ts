import type { ChunkHolder } from '../../protocols/chunk/types.ts'
import type { BlockSource, CapabilitiesInit } from '../../protocols/content/types.ts'
import type { TrustService } from '../trust/index.ts'

/**
 * What a node is to others, put in the place of its own by whoever builds it: a simulation plays peers that lie with whole nodes, over real
 * sockets, and watches those that do not. Nothing of it can be reached from a configuration, a command or the API.
 */
export interface Replacements {
  /** Whom the node believes. */
  readonly trust?: (own: TrustService) => TrustService
  /** What it serves by the content protocol. */
  readonly blocks?: (own: BlockSource) => BlockSource
  /** What it tells of itself. */
  readonly capabilities?: (own: CapabilitiesInit) => CapabilitiesInit
  /** What it answers as one that keeps columns. */
  readonly holder?: (own: ChunkHolder) => ChunkHolder
}

export function replaced<Part>(own: Part, replacement: ((own: Part) => Part) | undefined): Part {
  return replacement?.(own) ?? own
}
