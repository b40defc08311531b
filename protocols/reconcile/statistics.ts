import type { ReconcileStatistics } from './types.ts'

/** Before anything was compared. */
export const NOTHING_COMPARED: Readonly<ReconcileStatistics> = {
  begun: 0,
  failed: 0,
  answered: 0,
  taken: 0,
  refused: 0,
  given: 0,
  sentBytes: 0,
  receivedBytes: 0,
}
