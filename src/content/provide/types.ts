import type { CID } from 'multiformats/cid'

/**
 * - `roots`: the roots of pins, and what was added without a pin for as long as it is held
 * - `pinned`: these first, then every block below them
 * - `off`: nothing is announced by itself
 */
export type ProvideStrategy = 'roots' | 'pinned' | 'off'

export interface ProvideStatistics {
  /** Records that are announced over and over. */
  records: number
  /** Records that should have been announced by now: new ones that wait, and such as are older than the interval. */
  debtRecords: number
  /** For how long the one that is due longest has been, in milliseconds; 0 where none is. */
  debtOldestMs: number
  /** On their way now. */
  running: number
  /** Since start. */
  provided: number
  failed: number
  /** Since start: not taken into the queue, or no longer kept in it, and why. */
  refused: Record<RefusalReason, number>
}

export type RefusalReason =
  /** marked as private */
  | 'private'
  /** on a denylist of this node */
  | 'denied'
  /** of a hash other than SHA-256: nodes of the DHT do not keep such records (STACK: blake3, SHA-512) */
  | 'hash'
  /** the queue is full */
  | 'full'

/** Provider records of this node: who asks the DHT for a root is told that this node has it. */
export interface ProvideRecords {
  /** Announces the CID soon, and again before its record expires, for as long as it is kept. Nothing where the strategy is `off`. */
  add(cid: CID): void
  /** Announces no more; records that others keep expire by themselves. */
  withdraw(cid: CID): Promise<void>
  /**
   * These are private by now: records of them are withdrawn at once, and those that are being told of are told of no more.
   * `isRoot`: also where there is no record here, as of what was announced by `provide`.
   */
  hide(cids: readonly CID[], options: { isRoot: boolean }): void
  /**
   * Announces now, whatever the strategy.
   *
   * @throws ERR_CONTENT_PRIVATE, ERR_PROVIDE_HASH, ERR_PROVIDE_FAILED, ERR_CANCELLED
   */
  provide(cid: CID, options: { signal: AbortSignal }): Promise<void>
  /** What may be told is otherwise than before: records of what may not are withdrawn, and what may again is taken up. */
  reconsider(): void
  statistics(): ProvideStatistics
  /** Takes up what is pinned and begins. Called again, it does nothing. */
  start(): void
  /** Resolves once nothing is under way. */
  stop(): Promise<void>
}
