import type { AddResult } from '../types.ts'
import type { SavedFile } from '../unixfs/file.ts'

/** What an `add` job has made so far, for its result and for those who watch. */
export interface ImportTotals {
  /** Bytes of file content. */
  size: number
  files: number
  blocks: number
  /** Devices, pipes and the like, which a DAG cannot hold. */
  skipped: number
}

/** From which a file or tree goes on at the committed offset, by JSON. At most some 200 KiB: see `SavedFile`. */
export type ImportCheckpoint = FileCheckpoint | TreeCheckpoint | EndedCheckpoint

export interface FileCheckpoint {
  version: 1
  source: 'file'
  totals: ImportTotals
  file: SavedFile
}

export interface TreeCheckpoint {
  version: 1
  source: 'tree'
  totals: ImportTotals
  /** Bytes of the journal of finished entries that count. */
  journalBytes: number
  /** The entry before which all others must lie, where the stream has such a root; null until the first entry. */
  prefix: string[] | null
  /** The file in the middle of which the offset lies; null between two entries. */
  current: CurrentFile | null
  /** True once the end mark was read. */
  ended: boolean
}

/** A tree that is built and pinned. What it went on from may be gone: a job that ended here has nothing left to do. */
export interface EndedCheckpoint {
  version: 1
  source: 'ended'
  result: AddResult
}

export interface CurrentFile {
  names: string[]
  mode: number | null
  sizeBytes: number
  /** Bytes of its content that are in `file`. */
  doneBytes: number
  file: SavedFile
}

export function emptyTotals(): ImportTotals {
  return { size: 0, files: 0, blocks: 0, skipped: 0 }
}
