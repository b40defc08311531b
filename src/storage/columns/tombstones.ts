import type { Database } from 'better-sqlite3'
import { ChunkRefusedError, ChunkStatus } from '../../../protocols/chunk/errors.ts'
import type { SignedBytes, SlabId } from '../../../protocols/chunk/types.ts'
import { FORGET_STEP_ROWS, MAX_FOREIGN_TOMBSTONES, MAX_ROWS } from './limits.ts'
import { plainBytes } from './rows.ts'

interface TombstoneRecord {
  id: number
  payload: Buffer
  signature: Buffer
}

/** Owners' deletions by this node's own counter. Writing methods are called within a transaction. */
export class Tombstones {
  readonly #has
  readonly #one
  readonly #after
  readonly #insert
  readonly #prolong
  readonly #forget
  /** Off by one after a transaction that failed: it is a bound, and counted anew at each start. */
  #count: number

  constructor(db: Database) {
    this.#has = db.prepare<[Uint8Array], number>('SELECT 1 FROM column_tombstone WHERE slab = ?').pluck()
    this.#one = db.prepare<[Uint8Array], TombstoneRecord>(
      'SELECT id, payload, signature FROM column_tombstone WHERE slab = ?',
    )
    this.#after = db.prepare<[number, number], TombstoneRecord>(
      'SELECT id, payload, signature FROM column_tombstone WHERE id > ? ORDER BY id LIMIT ?',
    )
    this.#insert = db.prepare<[Uint8Array, Uint8Array, Uint8Array, number]>(
      'INSERT INTO column_tombstone (slab, payload, signature, keep_until_ms) VALUES (?, ?, ?, ?)',
    )
    this.#prolong = db.prepare<[number, Uint8Array]>(
      'UPDATE column_tombstone SET keep_until_ms = max(keep_until_ms, ?) WHERE slab = ?',
    )
    this.#forget = db.prepare<[number, number]>(
      `DELETE FROM column_tombstone
       WHERE id IN (SELECT id FROM column_tombstone WHERE keep_until_ms < ? ORDER BY keep_until_ms LIMIT ?)`,
    )
    this.#count = db.prepare<[], number>('SELECT count(*) FROM column_tombstone').pluck().get() ?? 0
  }

  get count(): number {
    return this.#count
  }

  find(slab: SlabId): SignedBytes | undefined {
    const record = this.#one.get(slab)
    return record === undefined ? undefined : signedOf(record)
  }

  has(slab: SlabId): boolean {
    return this.#has.get(slab) === 1
  }

  /** @throws ChunkRefusedError: `noSpace` */
  assertRoom(slab: SlabId): void {
    if (this.#count >= MAX_FOREIGN_TOMBSTONES && !this.has(slab)) {
      throw new ChunkRefusedError(ChunkStatus.noSpace)
    }
  }

  put({ slab, signed, keepUntilMs }: { slab: SlabId; signed: SignedBytes; keepUntilMs: number }): void {
    if (this.has(slab)) this.#prolong.run(keepUntilMs, slab)
    else {
      this.#insert.run(slab, signed.payload, signed.signature, keepUntilMs)
      this.#count++
    }
  }

  after(after: number, limit: number): { deletions: SignedBytes[]; next: number } {
    const records = this.#after.all(after, Math.min(limit, MAX_ROWS))
    return {
      deletions: records.map(signedOf),
      next: records.at(-1)?.id ?? after,
    }
  }

  /** Some of those that are past their time; returns how many, 0 at the end. */
  forget(nowMs: number): number {
    const { changes } = this.#forget.run(nowMs, FORGET_STEP_ROWS)
    this.#count -= changes
    return changes
  }
}

function signedOf({ payload, signature }: TombstoneRecord): SignedBytes {
  return { payload: plainBytes(payload), signature: plainBytes(signature) }
}
