import { LRUCache } from 'lru-cache'
import { parseIndex, prove, sameBytes, slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { Proof, SlabId, SlabIndex } from '../../../protocols/chunk/types.ts'
import type { Logger } from '../../telemetry/types.ts'
import { Admission, type KeyedLock } from '../files/coordination.ts'
import type { Turns } from '../files/turns.ts'
import { assertGoingOn, fromSystemError } from '../errors.ts'
import { decodeTail, encodeHeader, fileBytesOf, HEADER_BYTES, TRAILER_BYTES } from './column-file.ts'
import type { ColumnFiles } from './files.ts'
import { rootInSteps } from './hashing.ts'
import { INDEX_CACHE_BYTES, READ_LIMITS } from './limits.ts'
import type { ColumnRows, StoredColumn } from './rows.ts'
import type { ColumnRow } from './types.ts'

/** What a look at the disk found. */
type Found<T> = { state: 'good'; value: T } | { state: 'rotten' } | { state: 'absent' }

const ROTTEN = { state: 'rotten' } as const
const ABSENT = { state: 'absent' } as const

export interface ReadParts {
  rows: ColumnRows
  files: ColumnFiles
  locks: KeyedLock
  turns: Turns
  log: Logger
  /** Marks the column's row in a transaction. False where it was marked, or has gone. */
  lose(slab: SlabId): Promise<boolean>
  onRot(row: ColumnRow): void
}

/** The way out: bytes from a column's file, verified; what does not verify is quarantined. */
export class ColumnReads {
  readonly #parts: ReadParts
  readonly #admission = new Admission(READ_LIMITS)
  readonly #indexes = new LRUCache<string, SlabIndex>({
    maxSize: INDEX_CACHE_BYTES,
    // The payload, and the roots in an array of their own.
    sizeCalculation: ({ signed }) => 2 * signed.payload.byteLength,
  })

  constructor(parts: ReadParts) {
    this.#parts = parts
  }

  /** Keeps the index of a column that was just written. */
  remember(index: SlabIndex): void {
    this.#indexes.set(slabKeyOf(index.slab), index)
  }

  forget(slab: SlabId): void {
    this.#indexes.delete(slabKeyOf(slab))
  }

  index(slab: SlabId): Promise<SlabIndex | undefined> {
    return this.#read(slab, (stored) => this.#index(stored), undefined)
  }

  piece(slab: SlabId, segment: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#read(slab, (stored) => this.#piece(stored, segment, signal), signal)
  }

  prove(slab: SlabId, segment: number, leaf: number): Promise<Proof | undefined> {
    const look = async (stored: StoredColumn): Promise<Found<Proof>> => {
      const piece = await this.#piece(stored, segment, undefined)
      if (piece.state !== 'good') return piece
      const turn = this.#parts.turns.take()
      if (turn !== undefined) await turn
      try {
        return { state: 'good', value: prove(piece.value, leaf) }
      } catch (error) {
        // No such leaf.
        if (error instanceof RangeError) return ABSENT
        throw error
      }
    }
    return this.#read(slab, look, undefined)
  }

  /** Whether the file is there, as long as it must be; one that is not is quarantined. Reads nothing of it. */
  async isThere(slab: SlabId): Promise<boolean> {
    const look = async (stored: StoredColumn): Promise<Found<true>> => {
      const sizeBytes = await this.#parts.files.sizeBytes(slab)
      return sizeBytes === fileBytesOf(stored.row.columnBytes, stored.indexBytes)
        ? { state: 'good', value: true }
        : ROTTEN
    }
    return (await this.#read(slab, look, undefined)) === true
  }

  /** Reads everything of the file; `onRead` is awaited after each part. */
  async check(
    slab: SlabId,
    signal: AbortSignal,
    onRead: (bytes: number) => Promise<void>,
  ): Promise<'good' | 'rotten' | 'absent'> {
    const look = (stored: StoredColumn): Promise<Found<true>> => this.#whole(stored, signal, onRead)
    if ((await this.#read(slab, look, signal)) === true) return 'good'
    return this.#parts.rows.find(slab)?.rotten === true ? 'rotten' : 'absent'
  }

  /** Whether a column that was found rotten reads back whole after all: its disk was away, and has come again. */
  async isBack(slab: SlabId, signal: AbortSignal): Promise<boolean> {
    const stored = this.#parts.rows.find(slab)
    if (stored?.rotten !== true) return false
    const isGood = (await this.#whole(stored, signal, async () => {})).state === 'good'
    if (!isGood) this.forget(slab)
    return isGood
  }

  async #whole(
    stored: StoredColumn,
    signal: AbortSignal,
    onRead: (bytes: number) => Promise<void>,
  ): Promise<Found<true>> {
    const { slab, column } = stored.row
    const header = encodeHeader(slab, column)
    const found = await this.#part(slab, 0, header.byteLength, signal)
    if (found === undefined || !sameBytes(found, header)) return ROTTEN
    this.forget(slab)
    const index = await this.#index(stored)
    if (index.state !== 'good') return index
    for (let segment = 0; segment < index.value.sealedBytes.length; segment++) {
      assertGoingOn(signal)
      const piece = await this.#piece(stored, segment, signal)
      if (piece.state !== 'good') return piece
      await onRead(piece.value.byteLength)
    }
    return { state: 'good', value: true }
  }

  async #read<T>(
    slab: SlabId,
    look: (stored: StoredColumn) => Promise<Found<T>>,
    signal: AbortSignal | undefined,
  ): Promise<T | undefined> {
    assertGoingOn(signal)
    const stored = this.#parts.rows.held(slab)
    if (stored === undefined) return undefined
    try {
      const found = await look(stored)
      if (found.state === 'good') return found.value
      return found.state === 'rotten' ? await this.#suspect(slab, look) : undefined
    } catch (error) {
      throw fromSystemError(error)
    }
  }

  /**
   * Takes a column out that did not read back. Looks once more under its lock: it may have been removed, or come again, or the
   * disk may have failed for a moment.
   */
  #suspect<T>(slab: SlabId, look: (stored: StoredColumn) => Promise<Found<T>>): Promise<T | undefined> {
    const { rows, files, locks, log } = this.#parts
    return locks.run(slabKeyOf(slab), async () => {
      const stored = rows.held(slab)
      if (stored === undefined) return undefined
      this.forget(slab)
      const found = await look(stored)
      if (found.state === 'good') return found.value
      if (found.state === 'absent' || !(await this.#parts.lose(slab))) return undefined
      log.warn({ slab: slabKeyOf(slab) }, 'a column did not match its index and was quarantined')
      await files.quarantine(slab).catch((error: unknown) => {
        log.warn({ err: error }, 'a rotten column could not be moved to quarantine')
      })
      this.#parts.onRot(stored.row)
      return undefined
    })
  }

  async #index({ row, indexBytes }: StoredColumn): Promise<Found<SlabIndex>> {
    const { slab, columnBytes, indexHash } = row
    const known = this.#indexes.get(slabKeyOf(slab))
    if (known !== undefined && sameBytes(known.hash, indexHash)) return { state: 'good', value: known }
    const tail = await this.#part(slab, HEADER_BYTES + columnBytes, indexBytes + TRAILER_BYTES, undefined)
    const signed = tail === undefined ? undefined : decodeTail(tail, columnBytes)
    if (signed === undefined) return ROTTEN
    let index: SlabIndex
    try {
      index = parseIndex(signed)
    } catch {
      return ROTTEN
    }
    if (!sameBytes(index.hash, indexHash)) return ROTTEN
    this.remember(index)
    return { state: 'good', value: index }
  }

  async #piece(
    stored: StoredColumn,
    segment: number,
    signal: AbortSignal | undefined,
  ): Promise<Found<Uint8Array>> {
    const found = await this.#index(stored)
    if (found.state !== 'good') return found
    const index = found.value
    if (!Number.isInteger(segment) || segment < 0 || segment >= index.sealedBytes.length) return ABSENT
    const { slab, column } = stored.row
    const bytes = await this.#part(slab, offsetOf(index, segment), index.pieceBytes(segment), signal)
    if (bytes?.byteLength !== index.pieceBytes(segment)) return ROTTEN
    const root = await rootInSteps(bytes, this.#parts.turns)
    return sameBytes(root, index.root(segment, column)) ? { state: 'good', value: bytes } : ROTTEN
  }

  async #part(
    slab: SlabId,
    offset: number,
    lengthBytes: number,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    const leave = await this.#admission.enter(lengthBytes, signal)
    try {
      return await this.#parts.files.read(slab, offset, lengthBytes)
    } finally {
      leave()
    }
  }
}

function offsetOf(index: SlabIndex, segment: number): number {
  let offset = HEADER_BYTES
  for (let before = 0; before < segment; before++) offset += index.pieceBytes(before)
  return offset
}
