import type { UploadSession } from './session.ts'
import type { JobRecord } from './types.ts'

/**
 * Why a run was told to end before it was done.
 * - `stop`: the node stops; the job goes on at the next start
 * - `suspend`: its client is away for long; the job goes on when it comes back
 * - `cancel`, `expire`: the job ends
 */
export type Ending = 'stop' | 'suspend' | 'cancel' | 'expire'

/** One call of a handler's `run`. */
export interface Run {
  readonly controller: AbortController
  /** Set before the controller aborts. */
  ending: Ending | null
  /** Resolves, and never rejects, once what the run came to is recorded. */
  settled: Promise<void>
}

/** A job that has not ended, in memory. The truth about its state is here; the row follows. */
export interface LiveJob {
  /** Replaced as a whole on every change, so that what was handed out never changes. */
  record: JobRecord
  run: Run | null
  readonly session: UploadSession | null
  /** How the job ended, from the moment that is decided; the record follows once it is durable. */
  ended: boolean
  /** Called once, with the last record, or with the error that ends the wait. */
  readonly waiters: Set<{ done: (record: JobRecord) => void; failed: (error: unknown) => void }>
}
