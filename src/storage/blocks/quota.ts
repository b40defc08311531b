import { quotaExceeded } from '../errors.ts'
import { DATA_LIMIT_BYTES } from './layout.ts'
import { allocatedBytes } from '../files/names.ts'
import type { WriterFigures } from './writer-messages.ts'

/** Pages that one row may dirty besides those of its bytes: two of the row's table, and a path in each of its two indexes. */
const PAGES_PER_ROW = 4

/** What lives beside the blocks under the same bound. */
export interface QuotaMember {
  /** What its files take, with what it has reserved. */
  usedBytes(): number
  /**
   * What the metered files (state.db and its log) took when it last wrote to them. The figures of the writer thread know of
   * their growth only after its next transaction.
   */
  meteredBytes(): number
}

/**
 * The hard bound on everything the home folder's storage takes. A put reserves what it may cost before anything is
 * written, so that puts under way at the same time cannot go over the bound together; once it has ended its
 * reservation is given back, and the figures measured after its commit hold what it really took.
 */
export class Quota {
  readonly quotaBytes: number
  readonly #writer: { readonly figures: WriterFigures }
  readonly #files: { readonly quarantineBytes: number }
  #reservedFileBytes = 0
  #reservedPageBytes = 0
  #member: QuotaMember | undefined

  constructor(
    quotaBytes: number,
    writer: { readonly figures: WriterFigures },
    files: { readonly quarantineBytes: number },
  ) {
    this.quotaBytes = quotaBytes
    this.#writer = writer
    this.#files = files
  }

  /** From now on counts what the member takes too. */
  join(member: QuotaMember): void {
    this.#member = member
  }

  usedBytes(): number {
    const { databaseBytes, meteredBytes, fileBytes } = this.#writer.figures
    const member = this.#member
    const grownBytes = Math.max(0, (member?.meteredBytes() ?? 0) - meteredBytes)
    return databaseBytes + grownBytes + fileBytes + this.#files.quarantineBytes + (member?.usedBytes() ?? 0)
  }

  /** What the member may still take; puts under way keep what they reserved. */
  freeBytes(): number {
    const reservedBytes = this.#reservedFileBytes + 2 * this.#reservedPageBytes
    return Math.max(0, this.quotaBytes - this.usedBytes() - reservedBytes)
  }

  /**
   * Returns the function that gives the reservation back.
   * @throws ERR_QUOTA
   */
  reserve(blockBytes: number): () => void {
    const { freeBytes, pageSizeBytes } = this.#writer.figures
    const isFile = blockBytes > DATA_LIMIT_BYTES
    const fileBytes = isFile ? allocatedBytes(blockBytes) : 0
    const dataPages = isFile ? 0 : Math.ceil(blockBytes / pageSizeBytes) + 1
    const pageBytes = (PAGES_PER_ROW + dataPages) * pageSizeBytes
    // Dirty pages go to the log first and to the database later, where they fill free ones before the file grows.
    const logBytes = this.#reservedPageBytes + pageBytes
    const growthBytes = Math.max(0, logBytes - freeBytes)
    const usedBytes = this.usedBytes()
    if (usedBytes + this.#reservedFileBytes + fileBytes + logBytes + growthBytes > this.quotaBytes) {
      throw quotaExceeded(fileBytes + 2 * pageBytes, usedBytes, this.quotaBytes)
    }
    this.#reservedFileBytes += fileBytes
    this.#reservedPageBytes += pageBytes
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#reservedFileBytes -= fileBytes
      this.#reservedPageBytes -= pageBytes
    }
  }
}
