import type { Logger } from '../../telemetry/types.ts'
import type { KeyedLock } from '../files/coordination.ts'
import type { BlockFiles } from './files.ts'
import type { IndexReader } from './index-reader.ts'
import type { MemoryTier } from './memory.ts'
import type { Writer } from './writer.ts'

/** What puts, reads and removals of one store work on together. */
export interface Tiers {
  readonly memory: MemoryTier
  readonly index: IndexReader
  readonly files: BlockFiles
  readonly writer: Writer
  /** By block: whoever changes a block's file holds its lock, from before the file to after the row. */
  readonly locks: KeyedLock
  readonly log: Logger
  /** @throws ERR_STORAGE_CLOSED; to be asked before the index is, wherever something was awaited */
  assertOpen(): void
}
