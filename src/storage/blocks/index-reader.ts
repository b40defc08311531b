import type { Database } from 'better-sqlite3'
import { fromSystemError } from '../errors.ts'
import { openForReading, PLACE_DATA, PLACE_MISSING } from './schema.ts'

export interface IndexRow {
  id: number
  size: number
  place: number
  touched: number
  /** 1 where somebody gave it to this node. */
  added: number
}

/** Reads rows on the main thread: each statement takes microseconds, as the index pages are in memory. */
export class IndexReader {
  readonly db: Database
  readonly #find
  readonly #data
  readonly #page
  readonly #mark

  constructor(databasePath: string) {
    this.db = openForReading(databasePath)
    this.#find = this.db.prepare<[Uint8Array], IndexRow>(
      'SELECT id, size, place, touched, added FROM block WHERE mh = ?',
    )
    this.#data = this.db.prepare<[number], Buffer>('SELECT data FROM block_data WHERE id = ?').pluck()
    this.#page = this.db.prepare<[number, number], { id: number; mh: Buffer }>(
      `SELECT id, mh FROM block WHERE id > ? AND place <> ${PLACE_MISSING} ORDER BY id LIMIT ?`,
    )
    this.#mark = this.db.prepare<[Uint8Array], 1>('SELECT 1 FROM private_block WHERE mh = ?').pluck()
  }

  isMarked(mh: Uint8Array): boolean {
    return told(() => this.#mark.get(mh)) !== undefined
  }

  /** @throws ERR_STORAGE_CORRUPT, ERR_STORAGE_IO, like all below */
  find(mh: Uint8Array): IndexRow | undefined {
    return told(() => this.#find.get(mh))
  }

  /** The row where the block's bytes are held, quarantined ones not. */
  findHeld(mh: Uint8Array): IndexRow | undefined {
    const row = this.find(mh)
    return row === undefined || row.place === PLACE_MISSING ? undefined : row
  }

  /** The bytes of a small block. */
  data(row: IndexRow): Uint8Array | undefined {
    if (row.place !== PLACE_DATA) return undefined
    const data = told(() => this.#data.get(row.id))
    return data === undefined ? undefined : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  }

  /** Held blocks by id, those after `after` first. */
  page(after: number, limit: number): { id: number; mh: Uint8Array }[] {
    return told(() => this.#page.all(after, limit))
  }

  close(): void {
    this.db.close()
  }
}

/** What SQLite throws, as an error of the storage. */
function told<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw fromSystemError(error)
  }
}
