import { uploadClosed, uploadOffset } from './errors.ts'
import { MAX_PIECE_BYTES } from './limits.ts'
import type { UploadRow } from './store.ts'

/** A piece that the client's side holds out until the job's side takes it. */
interface Offer {
  bytes: Uint8Array
  taken: () => void
}

/** The job's side, waiting for a piece. */
interface Reader {
  given: (result: IteratorResult<Uint8Array, undefined>) => void
  failed: (error: unknown) => void
}

/**
 * Where the client's bytes meet the job that takes them: one piece at a time passes from hand to hand, nothing is
 * buffered between, so that back-pressure is exact and `offset` never counts a byte that no one took.
 *
 * The session outlives the job's runs. A run attaches, reads from the last committed offset on, and detaches.
 */
export class UploadSession {
  readonly id: string
  readonly jobId: string
  /** The whole size in bytes, once the client told it. */
  size: number | null
  /** Survives a crash of the daemon. */
  committed: number
  /** What the current run took, counted over the whole upload; without a run, what is committed. */
  offset: number
  /** The whole size, once the client said that no byte follows. */
  total: number | null
  /** Since when no client sends; null while one does. */
  idleSinceMs: number | null
  /** True while a request of the client is under way: one append, or the end of the upload. */
  busy = false

  readonly #over = new AbortController()
  #offer: Offer | undefined
  #reader: Reader | undefined
  #attached = false
  /** A run may read only while its job holds a place among the running ones of its kind. */
  #granted = false

  constructor(row: UploadRow) {
    this.id = row.id
    this.jobId = row.jobId
    this.committed = row.committed
    this.offset = row.committed
    this.size = row.size ?? row.total
    // Bytes that were taken but not committed are to be sent again, and the end to be said again.
    this.total = row.total === row.committed ? row.total : null
    this.idleSinceMs = row.idleSinceMs
  }

  /** True when nothing more is needed from the client. */
  get complete(): boolean {
    return this.total !== null
  }

  /** True while the job's side has nothing to do but wait for the client. */
  get starving(): boolean {
    return !this.complete && this.#offer === undefined && (!this.#attached || this.#reader !== undefined)
  }

  /** Begins a run: its reads continue behind the last commit and end with `signal`. */
  attach(signal: AbortSignal): AsyncIterator<Uint8Array, undefined> {
    this.#attached = true
    this.offset = this.committed
    let closed = false
    signal.addEventListener('abort', () => this.#rejectReader(signal.reason), { once: true })
    return {
      next: () => {
        if (closed) return Promise.resolve({ done: true, value: undefined })
        if (signal.aborted) return Promise.reject(signal.reason as Error)
        return new Promise((given, failed) => {
          this.#reader = { given, failed }
          this.#match()
        })
      },
      return: () => {
        closed = true
        return Promise.resolve({ done: true, value: undefined })
      },
    }
  }

  /** Ends a run: what it took without committing counts as not sent. */
  detach(): void {
    this.#attached = false
    this.#granted = false
    this.#reader = undefined
    this.offset = this.committed
  }

  grant(): void {
    this.#granted = true
    this.#match()
  }

  withhold(): void {
    this.#granted = false
  }

  /** Resolves when the job took all of `bytes`; on abort the piece that was not taken yet is withdrawn. */
  async offer(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    for (let start = 0; start < bytes.byteLength; start += MAX_PIECE_BYTES) {
      await this.#offerPiece(bytes.subarray(start, start + MAX_PIECE_BYTES), signal)
    }
  }

  /** No byte follows. `offset` must stand at `total`. */
  end(total: number): void {
    if (this.offset !== total) throw uploadOffset(this.offset, total)
    this.total = total
    this.#match()
  }

  /** Aborts, with the error that the client's side is to see, once no byte will be taken any more. */
  get over(): AbortSignal {
    return this.#over.signal
  }

  /** The job ended, or the node stops. */
  close(error: unknown): void {
    this.#over.abort(error)
  }

  #offerPiece(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    if (this.complete) return Promise.reject(uploadClosed())
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error)
        return
      }
      const withdraw = () => {
        this.#offer = undefined
        reject(signal.reason as Error)
      }
      signal.addEventListener('abort', withdraw, { once: true })
      const taken = () => {
        signal.removeEventListener('abort', withdraw)
        resolve()
      }
      this.#offer = { bytes, taken }
      this.#match()
    })
  }

  /** Passes on what both sides wait for. */
  #match(): void {
    const reader = this.#reader
    if (reader === undefined) return
    if (this.complete) {
      this.#reader = undefined
      reader.given({ done: true, value: undefined })
      return
    }
    const offer = this.#offer
    if (offer === undefined || !this.#granted) return
    this.#offer = undefined
    this.#reader = undefined
    this.offset += offer.bytes.byteLength
    reader.given({ done: false, value: offer.bytes })
    offer.taken()
  }

  #rejectReader(error: unknown): void {
    const reader = this.#reader
    this.#reader = undefined
    reader?.failed(error)
  }
}
