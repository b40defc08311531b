import { statSync } from 'node:fs'
import { ChunkRefusedError, ChunkStatus } from '../../../protocols/chunk/errors.ts'
import type { QuotaMember } from '../blocks/quota.ts'
import { COMMIT_LOG_BYTES, DEPOSITOR_SHARE, REPAIR_RESERVE_SHARE, REPAIR_SHARE, ROW_BYTES } from './limits.ts'
import type { ColumnRows } from './rows.ts'
import type { Purse } from './types.ts'

/** What the whole node may still take. */
export interface SharedQuota {
  freeBytes(): number
}

/**
 * How much of the offer is in use, by whom. What is held is in the sums of state.db, which change with its rows; what drafts
 * have reserved is here.
 */
export class Room implements QuotaMember {
  readonly offeredBytes: number
  readonly #rows: ColumnRows
  readonly #quota: SharedQuota
  readonly #quarantine: { readonly quarantineBytes: number }
  readonly #meteredPaths: readonly string[]
  /** Bytes by purse: a peer, or '' for repair. As many as there are drafts. */
  readonly #reserved = new Map<string, number>()
  #reservedBytes = 0
  #drafts = 0
  #meteredBytes = 0

  constructor(options: {
    offeredBytes: number
    rows: ColumnRows
    quota: SharedQuota
    quarantine: { readonly quarantineBytes: number }
    /** state.db, its log and the log's index. */
    meteredPaths: readonly string[]
  }) {
    this.offeredBytes = options.offeredBytes
    this.#rows = options.rows
    this.#quota = options.quota
    this.#quarantine = options.quarantine
    this.#meteredPaths = options.meteredPaths
    this.measure()
  }

  /** The most that the pool for repair may use. */
  get repairPoolBytes(): number {
    return Math.floor(this.offeredBytes * REPAIR_SHARE)
  }

  /** What counts towards the offer. */
  chargedBytes(): number {
    return this.#rows.total().charged + this.#reservedBytes
  }

  chargedTo(purse: Purse): number {
    return this.#rows.sumOf(purse).charged + (this.#reserved.get(keyOf(purse)) ?? 0)
  }

  /** For the quota: rows are measured with the metered files. */
  usedBytes(): number {
    const { charged, columns } = this.#rows.total()
    const heldBytes = charged - columns * ROW_BYTES
    const logBytes = this.#drafts * COMMIT_LOG_BYTES
    return heldBytes + this.#reservedBytes + logBytes + this.#quarantine.quarantineBytes
  }

  meteredBytes(): number {
    return this.#meteredBytes
  }

  /** To be called after a transaction: three questions to the file system's cache. */
  measure(): void {
    this.#meteredBytes = this.#meteredPaths.reduce(
      (sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0),
      0,
    )
  }

  /** What may still be charged to the purse; never below 0. */
  freeBytes(purse: Purse): number {
    const usedBytes = this.chargedBytes()
    const repairBytes = this.chargedTo({ kind: 'repair' })
    const keptBytes = Math.max(0, Math.floor(this.offeredBytes * REPAIR_RESERVE_SHARE) - repairBytes)
    const [shareBytes, offerBytes] =
      purse.kind === 'repair'
        ? [this.repairPoolBytes - repairBytes, this.offeredBytes - usedBytes]
        : [
            Math.floor(this.offeredBytes * DEPOSITOR_SHARE) - this.chargedTo(purse),
            this.offeredBytes - usedBytes - keptBytes,
          ]
    return Math.max(0, Math.min(shareBytes, offerBytes, this.#quota.freeBytes() - COMMIT_LOG_BYTES))
  }

  /**
   * Returns the function that gives the reservation back.
   * @throws ChunkRefusedError: `noSpace`
   */
  reserve(bytes: number, purse: Purse): () => void {
    this.measure()
    if (bytes > this.freeBytes(purse)) throw new ChunkRefusedError(ChunkStatus.noSpace)
    this.#change(purse, bytes, 1)
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#change(purse, -bytes, -1)
    }
  }

  #change(purse: Purse, bytes: number, drafts: number): void {
    const key = keyOf(purse)
    const reserved = (this.#reserved.get(key) ?? 0) + bytes
    if (reserved === 0) this.#reserved.delete(key)
    else this.#reserved.set(key, reserved)
    this.#reservedBytes += bytes
    this.#drafts += drafts
  }
}

function keyOf(purse: Purse): string {
  return purse.kind === 'repair' ? '' : purse.peer
}
