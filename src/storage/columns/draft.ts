import { ChunkRefusedError, ChunkStatus } from '../../../protocols/chunk/errors.ts'
import {
  MAX_SEALED_BYTES,
  MAX_SEGMENTS,
  PieceHasher,
  sameBytes,
} from '../../../protocols/chunk/format/index.ts'
import type { SlabIndex } from '../../../protocols/chunk/types.ts'
import type { DiskReserve } from '../files/disk-reserve.ts'
import type { Turns } from '../files/turns.ts'
import { cancelled, fromSystemError, isStorageError } from '../errors.ts'
import { encodeHeader, encodeTail } from './column-file.ts'
import type { TemporaryFile } from './files.ts'
import { hashInSteps } from './hashing.ts'
import type { ColumnRow, Draft, DraftOptions } from './types.ts'

export interface DraftParts {
  options: DraftOptions
  temporary: TemporaryFile
  /** In full durability the file is flushed before it gets its name. */
  sync: boolean
  disk: DiskReserve
  turns: Turns
  /** Told of bytes that are in the file now. */
  wrote(bytes: number): void
  /** Gives the finished file its name and its row. */
  place(index: SlabIndex, indexBytes: number): Promise<ColumnRow>
  /** Called once, after the draft has ended either way and its file is closed. */
  ended(): Promise<void>
}

/** One column on its way into a file in tmp. */
export class ColumnDraft implements Draft {
  readonly #parts: DraftParts
  readonly #hasher = new PieceHasher()
  readonly #pieceBytes: number[] = []
  readonly #roots: Uint8Array[] = []
  /** Of the piece that was begun; all that `write` was called with is taken off already. */
  #missingBytes = 0
  #columnBytes = 0
  #state: 'open' | 'committing' | 'ended' = 'open'
  #failure: unknown
  /** What was asked for so far; never rejects. */
  #tail: Promise<void> = Promise.resolve()
  #ending: Promise<void> | undefined

  constructor(parts: DraftParts) {
    this.#parts = parts
    const { slab, column } = parts.options
    void this.#queue(() => this.#append(encodeHeader(slab, column))).catch(() => {})
  }

  beginPiece(pieceBytes: number): void {
    this.#assertOpen()
    const columnBytes = this.#columnBytes + pieceBytes
    const isPiece = Number.isInteger(pieceBytes) && pieceBytes >= 1 && pieceBytes <= MAX_SEALED_BYTES
    if (!isPiece || this.#missingBytes > 0 || this.#pieceBytes.length >= MAX_SEGMENTS) {
      throw this.#fail(new ChunkRefusedError(ChunkStatus.invalid))
    }
    if (columnBytes > this.#parts.options.maxColumnBytes) {
      throw this.#fail(new ChunkRefusedError(ChunkStatus.noSpace))
    }
    this.#pieceBytes.push(pieceBytes)
    this.#missingBytes = pieceBytes
    this.#columnBytes = columnBytes
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#assertOpen()
    if (bytes.byteLength > this.#missingBytes) {
      throw this.#fail(new ChunkRefusedError(ChunkStatus.invalid))
    }
    if (bytes.byteLength === 0) return
    this.#missingBytes -= bytes.byteLength
    const endsPiece = this.#missingBytes === 0
    const written = this.#queue(async () => {
      const writing = this.#append(bytes)
      // It is awaited below, but it may fail while the bytes are being hashed.
      writing.catch(() => {})
      await hashInSteps(this.#hasher, bytes, this.#parts.turns)
      await writing
      if (endsPiece) this.#roots.push(this.#hasher.digest())
    })
    try {
      await written
    } catch (error) {
      // Whoever tries again at once must not meet what is left of this draft.
      await this.#ending
      throw error
    }
  }

  async commit(index: SlabIndex): Promise<ColumnRow> {
    this.#assertOpen()
    this.#state = 'committing'
    try {
      return await this.#queue(async () => {
        this.#assertFits(index)
        const { bytes, indexBytes } = encodeTail(this.#columnBytes, index.signed)
        await this.#append(bytes)
        const { file } = this.#parts.temporary
        if (this.#parts.sync) await file.sync()
        await file.close()
        return this.#parts.place(index, indexBytes)
      })
    } finally {
      this.#state = 'ended'
      await this.#end()
    }
  }

  async abort(): Promise<void> {
    if (this.#state === 'open') this.#fail(cancelled(new Error('the draft was given up')))
    await this.#tail
    await this.#ending
  }

  /** Ends a draft that has become pointless; whoever writes to it is told why. One that is committing meets it there. */
  async refuse(reason: Error): Promise<void> {
    if (this.#state === 'open') this.#fail(reason)
    await this.#ending
  }

  /** What is wrong with the index; pieces are known by their hashes here. */
  #assertFits(index: SlabIndex): void {
    const { slab, publicKey, group, column, k, n } = this.#parts.options
    const fits =
      sameBytes(index.slab, slab) &&
      sameBytes(index.publicKey, publicKey) &&
      sameBytes(index.group, group) &&
      index.k === k &&
      index.n === n &&
      index.sealedBytes.length === this.#roots.length &&
      this.#missingBytes === 0 &&
      this.#roots.every(
        (root, segment) =>
          this.#pieceBytes[segment] === index.pieceBytes(segment) &&
          sameBytes(root, index.root(segment, column)),
      )
    if (!fits) throw new ChunkRefusedError(ChunkStatus.invalid)
  }

  async #append(bytes: Uint8Array): Promise<void> {
    const wrote = await this.#parts.disk.admit(bytes.byteLength)
    try {
      await this.#parts.temporary.file.append(bytes)
    } finally {
      wrote()
    }
    this.#parts.wrote(bytes.byteLength)
  }

  /** One after the other; the first failure ends the draft. */
  #queue<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#tail.then(async () => {
      if (this.#failure !== undefined) throw this.#failure
      try {
        return await work()
      } catch (error) {
        throw this.#fail(toRefusal(error))
      }
    })
    this.#tail = run.then(
      () => {},
      () => {},
    )
    return run
  }

  #fail<E>(error: E): E {
    this.#failure ??= error
    if (this.#state === 'open') {
      this.#state = 'ended'
      void this.#end()
    }
    return error
  }

  /** Never rejects. Waits for what is under way, then cleans up. */
  #end(): Promise<void> {
    this.#ending ??= (async () => {
      await this.#tail
      await this.#parts.temporary.file.close().catch(() => {})
      await this.#parts.ended().catch(() => {})
    })()
    return this.#ending
  }

  #assertOpen(): void {
    if (this.#state === 'open') return
    throw this.#failure ?? new ChunkRefusedError(ChunkStatus.invalid)
  }
}

/** A full disk is told as any other want of room. */
export function toRefusal(error: unknown): Error {
  if (error instanceof ChunkRefusedError) return error
  const failure = fromSystemError(error)
  return isStorageError(failure, 'ERR_DISK_FULL')
    ? new ChunkRefusedError(ChunkStatus.noSpace, { cause: failure })
    : failure
}
