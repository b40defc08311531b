/** What the main thread and the writer thread say to each other. */
import type { ErrorKind } from '../../../protocols/shared/errors.ts'
import type { Durability } from './schema.ts'

export interface WriterData {
  databasePath: string
  durability: Durability
  /** Files beside blocks.db that count towards the quota: state.db and its log. They may be missing. */
  meteredPaths: string[]
}

/** The store's figures after the last commit. */
export interface WriterFigures {
  sequence: number
  blocks: number
  blockBytes: number
  fileBytes: number
  quarantined: number
  /** blocks.db as long as it is once its log is folded in, with the log, and the metered files. */
  databaseBytes: number
  /** The metered files among these. */
  meteredBytes: number
  /** Bytes inside blocks.db that new small blocks can use before the file grows. */
  freeBytes: number
  pageSizeBytes: number
  /** The last run did not close the store: files without a row may lie about. */
  unclean: boolean
}

export type ToWriter =
  | { type: 'call'; id: number; op: string; args: object }
  | { type: 'cancel'; id: number }
  | { type: 'close'; clean: boolean }

export interface WireError {
  code: string
  kind: ErrorKind
  message: string
  details: Record<string, unknown>
}

export type FromWriter =
  | { type: 'ready'; figures: WriterFigures }
  | { type: 'result'; id: number; result: unknown; figures: WriterFigures | null }
  | { type: 'error'; id: number; error: WireError; figures: WriterFigures | null }
  | { type: 'figures'; figures: WriterFigures }
  | { type: 'unopened'; error: WireError }
  | { type: 'closed' }
