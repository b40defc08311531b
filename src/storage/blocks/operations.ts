/**
 * What the writer thread's operations have in common. A room adds operations with a function
 * `(db, context) => { 'room.name': handler }` that writer.worker.ts lists.
 */
import type { Database } from 'better-sqlite3'

/** What a transaction changes in the store's figures; each is added to what is there. */
export interface UsageDelta {
  /** Blocks that are held (not the quarantined ones). */
  blocks?: number
  /** Bytes of those blocks. */
  blockBytes?: number
  /** Bytes of block files as the disk counts them: see `allocatedBytes`. */
  fileBytes?: number
  /** Blocks with `place` missing. */
  quarantined?: number
}

export interface WriterTransaction {
  /** The sequence number of this transaction: one more than the last one's. What is put or touched is marked with it. */
  readonly sequence: number
  /** Changes the store's figures together with the rows. */
  account(delta: UsageDelta): void
}

export interface WriterContext {
  /** Runs `change` in one transaction with a sequence number of its own; rolls back and rethrows what it throws. */
  commit<T>(change: (transaction: WriterTransaction) => T): T
  /** The sequence number of the last transaction. */
  sequence(): number
  /** Lets other operations, puts above all, run: to be awaited between the short transactions of a long operation. */
  turn(): Promise<void>
  /** Aborts when the writer closes: long operations end early then. */
  readonly closing: AbortSignal
}

export interface OperationCall {
  /** Aborts when the caller's signal does, and when the writer closes. */
  readonly signal: AbortSignal
}

/** Arguments and result cross threads by structured clone. */
export type Operation = (args: never, call: OperationCall) => unknown

export type Operations = Record<string, Operation>

export type OperationTable = (db: Database, context: WriterContext) => Operations
