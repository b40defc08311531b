import type { JobSource } from '../../jobs/types.ts'
import type { Pace } from '../pace.ts'
import type { Layout } from '../unixfs/profile.ts'
import type { BlockWriter } from './block-writer.ts'
import type { ImportTotals } from './checkpoint.ts'
import type { CommitInterval } from './committer.ts'

/** What one run of an import works with. */
export interface ImportRun {
  layout: Layout
  preserveMode: boolean
  /** The name the client gave the file or tree. */
  name: string
  source: JobSource
  writer: BlockWriter
  pace: Pace
  signal: AbortSignal
  /** Where a tree lists its finished entries. */
  journalPath: string
  commitInterval: CommitInterval
  totals: ImportTotals
  /** Tells how many bytes of the source were taken. */
  progress(offset: number): void
}
