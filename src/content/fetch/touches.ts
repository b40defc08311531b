import type { CID } from 'multiformats/cid'
import type { Lease } from '../../storage/types.ts'

/** At most so many CIDs in one touch: a lookup of the content protocol asks for fewer at once. */
const MAX_BATCH = 256

/**
 * Touches what is asked for in one turn of the event loop together: each touch of a block that the lease does not cover yet
 * is a transaction of the writer, and a fetch asks for dozens of held blocks at once.
 */
export class Touches {
  readonly #lease: Pick<Lease, 'touch'>
  #cids: CID[] = []
  #batch: Promise<void> | undefined

  constructor(lease: Pick<Lease, 'touch'>) {
    this.#lease = lease
  }

  /** Resolves when the block, if it is held, is under the lease. */
  touch(cid: CID): Promise<void> {
    if (this.#cids.length >= MAX_BATCH) this.#batch = undefined
    if (this.#batch === undefined) {
      const cids: CID[] = []
      this.#cids = cids
      this.#batch = Promise.resolve().then(() => {
        if (this.#cids === cids) this.#batch = undefined
        return this.#lease.touch(cids)
      })
    }
    this.#cids.push(cid)
    return this.#batch
  }
}
