import { quotaExceeded } from '../errors.ts'
import { allocatedBytes, DATA_LIMIT_BYTES } from './layout.ts'
import type { WriterFigures } from './writer-messages.ts'

/** Pages that one row may dirty besides those of its bytes: two of the row's table, and a path in each of its two indexes. */
const PAGES_PER_ROW = 4

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

  constructor(
    quotaBytes: number,
    writer: { readonly figures: WriterFigures },
    files: { readonly quarantineBytes: number },
  ) {
    this.quotaBytes = quotaBytes
    this.#writer = writer
    this.#files = files
  }

  usedBytes(): number {
    const { databaseBytes, fileBytes } = this.#writer.figures
    return databaseBytes + fileBytes + this.#files.quarantineBytes
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
