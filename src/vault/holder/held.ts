import { decodeIndex, decodeLease } from '../../../protocols/chunk/format/index.ts'
import type { PeerId } from '@libp2p/interface'
import type { SlabIndex } from '../../../protocols/chunk/types.ts'
import type { Columns } from '../../storage/columns/types.ts'
import type { OwnColumns } from '../restore/measure.ts'

/** This node's columns as repair sees them: decoded, and proven to be readable where it matters. */
export class HeldColumns implements OwnColumns {
  readonly #columns: Columns
  readonly #networkName: string
  readonly #self: PeerId

  constructor(columns: Columns, networkName: string, self: PeerId) {
    this.#columns = columns
    this.#networkName = networkName
    this.#self = self
  }

  /** The index of a column that is held: it was checked when it came, and is again. */
  async index(slab: Uint8Array): Promise<SlabIndex | undefined> {
    const signed = await this.#columns.index(slab)
    if (signed === undefined) return undefined
    try {
      return decodeIndex(signed, this.#networkName)
    } catch {
      // Rot in the file's head: the column counts as not held.
      return undefined
    }
  }

  async held(slab: Uint8Array): ReturnType<OwnColumns['held']> {
    const row = this.#columns.get(slab)
    const index = row === undefined ? undefined : await this.index(slab)
    if (row === undefined || index === undefined) return undefined
    // One leaf: what is rotten is found out, quarantined, and no longer counts as live.
    const proof = await this.#columns.prove(slab, Math.floor(Math.random() * index.sealedBytes.length), 0)
    if (proof === undefined) return undefined
    const signed = this.#columns.lease(slab)
    return {
      index,
      lease: signed === undefined ? undefined : decodeLease(signed, this.#networkName),
      column: { slab, column: row.column, indexHash: row.indexHash, peer: this.#self },
    }
  }

  piece(
    slab: Uint8Array,
    segment: number,
    options: { signal: AbortSignal },
  ): Promise<Uint8Array | undefined> {
    return this.#columns.piece(slab, segment, options)
  }
}
