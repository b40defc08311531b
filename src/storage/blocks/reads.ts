import type { CID } from 'multiformats/cid'
import { fromSystemError } from '../errors.ts'
import { Admission } from '../files/coordination.ts'
import { keyOf, matches } from './hashes.ts'
import type { IndexRow } from './index-reader.ts'
import { PLACE_DATA, PLACE_FILE } from './schema.ts'
import type { Tiers } from './tiers.ts'

/** Reads of files at a time; bounds open files and the memory of blocks that are being verified. */
const FILE_LIMITS = { count: 32, bytes: Number.POSITIVE_INFINITY, waiting: 65_536 }

/** The way out: bytes from the database or a file, verified; what does not verify is quarantined. */
export class Reads {
  readonly #tiers: Tiers
  readonly #onRot: ((cid: CID) => void) | undefined
  readonly #fileReads = new Admission(FILE_LIMITS)

  constructor(tiers: Tiers, onRot: ((cid: CID) => void) | undefined) {
    this.#tiers = tiers
    this.#onRot = onRot
  }

  /** The verified bytes of a block whose row was found; undefined where it turns out not to be held. */
  async read(cid: CID, row: IndexRow, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    try {
      const bytes = await this.#readRow(cid.multihash.bytes, row, signal)
      return isWhole(cid, row, bytes) ? bytes : await this.#suspect(cid)
    } catch (error) {
      throw fromSystemError(error)
    }
  }

  async #readRow(
    mh: Uint8Array,
    row: IndexRow,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array | undefined> {
    if (row.place === PLACE_DATA) return this.#tiers.index.data(row)
    const leave = await this.#fileReads.enter(row.size, signal)
    try {
      return await this.#tiers.files.read(mh, row.size)
    } finally {
      leave()
    }
  }

  /**
   * Takes a block out that did not read back. Reads it once more under its lock: it may have been removed or put again
   * since, or the disk may have failed for a moment; then the good bytes are returned after all.
   */
  #suspect(cid: CID): Promise<Uint8Array | undefined> {
    const { locks, index, memory, writer, log, assertOpen } = this.#tiers
    const mh = cid.multihash.bytes
    const key = keyOf(mh)
    return locks.run(key, async () => {
      assertOpen()
      const row = index.findHeld(mh)
      if (row === undefined) return undefined
      const bytes = await this.#readRow(mh, row, undefined)
      if (isWhole(cid, row, bytes)) return bytes
      // A copy of its own: a view would take the whole buffer behind it along to the other thread.
      const args = { mh: mh.slice(), id: row.id, place: row.place }
      if (!(await writer.call<boolean>('blocks.quarantine', args))) return undefined
      memory.delete(key)
      await this.#keep(mh, row, bytes)
      log.warn({ cid: cid.toString() }, 'a block did not match its hash and was quarantined')
      this.#onRot?.(cid)
      return undefined
    })
  }

  /** Keeps what is left of a rotten block, for whoever wants to look at it. */
  async #keep(mh: Uint8Array, row: IndexRow, bytes: Uint8Array | undefined): Promise<void> {
    const { files, log } = this.#tiers
    try {
      if (row.place === PLACE_FILE) await files.quarantineFile(mh, row.size)
      else if (bytes !== undefined) await files.quarantineBytesOf(mh, bytes)
    } catch (error) {
      log.warn({ err: error }, 'a rotten block could not be moved to quarantine')
    }
  }
}

function isWhole(cid: CID, row: IndexRow, bytes: Uint8Array | undefined): bytes is Uint8Array {
  return bytes?.byteLength === row.size && matches(cid.multihash, bytes)
}
