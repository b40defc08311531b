import type { FileHandle } from 'node:fs/promises'
import { mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pieceBytesOf, slabKeyOf } from '../../../../protocols/chunk/format/index.ts'
import type { SlabId } from '../../../../protocols/chunk/types.ts'
import type { SegmentCodec } from '../../codec/index.ts'
import type { Redundancy } from '../../types.ts'

interface Place {
  at: number
  sealedBytes: number
}

/**
 * The sealed segments of one slab under way, in HOME/vault/spool, so that a holder which takes another's place gets its
 * column from the start without the source. Ciphertext that holders have too; not synced, as a crash begins the slab again;
 * removed with the slab.
 */
export class Spool {
  readonly #path: string
  readonly #handle: FileHandle
  readonly #redundancy: Redundancy
  readonly #places: Place[] = []
  #length = 0

  private constructor(path: string, handle: FileHandle, redundancy: Redundancy) {
    this.#path = path
    this.#handle = handle
    this.#redundancy = redundancy
  }

  static async create(folder: string, slab: SlabId, redundancy: Redundancy): Promise<Spool> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, slabKeyOf(slab))
    return new Spool(path, await open(path, 'w+', 0o600), redundancy)
  }

  /** What a crash left behind. Called before the first put of a start. */
  static async sweep(folder: string): Promise<void> {
    const names = await readdir(folder).catch(() => [])
    for (const name of names) await rm(join(folder, name), { force: true })
  }

  /** The pieces of the next segment; only what the others follow from is kept. */
  async append(pieces: readonly Uint8Array[], sealedBytes: number): Promise<void> {
    const at = this.#length
    const kept = pieces.slice(0, this.#redundancy.k)
    this.#length += kept.reduce((sum, piece) => sum + piece.length, 0)
    let position = at
    for (const piece of kept) {
      for (let done = 0; done < piece.length; ) {
        const { bytesWritten } = await this.#handle.write(piece, done, piece.length - done, position + done)
        done += bytesWritten
      }
      position += piece.length
    }
    this.#places.push({ at, sealedBytes })
  }

  async piece(
    segment: number,
    column: number,
    codec: SegmentCodec,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const place = this.#places[segment]
    if (place === undefined) throw new RangeError(`segment ${segment} is not in the spool`)
    const { k } = this.#redundancy
    const { sealedBytes } = place
    const pieceBytes = pieceBytesOf(sealedBytes, k)
    const read = (which: number) => this.#read(pieceBytes, place.at + which * pieceBytes)
    if (k === 1) return read(0)
    if (column < k) return read(column)
    const pieces = new Map<number, Uint8Array>()
    for (let which = 0; which < k; which += 1) pieces.set(which, await read(which))
    const options = { columns: [column], sealedBytes, redundancy: this.#redundancy, signal }
    const rebuilt = (await codec.rebuild(pieces, options)).get(column)
    if (rebuilt === undefined) throw new Error(`column ${column} was not rebuilt`)
    return rebuilt.bytes
  }

  async remove(): Promise<void> {
    await this.#handle.close().catch(() => {})
    await rm(this.#path, { force: true })
  }

  async #read(length: number, position: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; ) {
      const { bytesRead } = await this.#handle.read(bytes, at, length - at, position + at)
      if (bytesRead === 0) throw new Error('the spool is shorter than what was written to it')
      at += bytesRead
    }
    return bytes
  }
}
