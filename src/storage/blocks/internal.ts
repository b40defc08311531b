import type { Database } from 'better-sqlite3'
import type { Blocks } from '../types.ts'

/** A block whose row was deleted. */
export interface RemovedBlock {
  mh: Uint8Array
  /** Its `place` was a file. */
  isFile: boolean
}

/** What reading a held block's bytes from the disk again found. */
export type BlockCheck =
  | { state: 'good'; sizeBytes: number }
  /** It did not match its hash, or its file is missing or short: it is quarantined now. */
  | { state: 'rotten'; sizeBytes: number }
  /** Not held (any more), or quarantined before. */
  | { state: 'absent'; sizeBytes: 0 }

/**
 * What pins and maintenance may do with the block store beyond its public face.
 *
 * How a block is removed: an operation of the writer thread deletes the row (and accounts for it) in a transaction; then
 * the main thread gives the blocks to `discard`, which forgets them in memory and removes the files. A crash
 * between the two leaves files without a row, which the sweep after the next start removes.
 */
export interface BlockStore extends Blocks {
  /** The read-only connection to blocks.db. Statements on it run on the main thread: keep each under a millisecond. */
  readonly reader: Database
  /**
   * Call after rows were deleted. Files of blocks that were put again meanwhile stay. Never rejects for a file that
   * cannot be removed: it is logged, and swept after the next start.
   */
  discard(removed: readonly RemovedBlock[]): Promise<void>
  /** Reads the block from the disk, past the memory tier, and verifies it; quarantines it where it is rotten. */
  check(mh: Uint8Array, signal: AbortSignal): Promise<BlockCheck>
}
