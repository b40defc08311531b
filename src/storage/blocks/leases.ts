import type { CID } from 'multiformats/cid'
import { storageBusy } from '../errors.ts'
import type { Lease } from '../types.ts'
import type { IndexReader } from './index-reader.ts'
import { IDENTITY_CODE } from './hashes.ts'
import { PLACE_MISSING } from './schema.ts'
import type { Writer } from './writer.ts'

/** CIDs of a touch looked up between two turns of the event loop: some 3 ms. */
const TOUCH_STEP = 500

/** Each is a job or a request under way; more are leaked ones. */
const MAX_LEASES = 10_000

/** The leases that this run has opened, over those in blocks.db, which are what the collector asks. */
export class Leases {
  readonly #writer: Writer
  readonly #index: IndexReader
  readonly #sinceById = new Map<string, number>()
  /** What is marked with less than this may need a new mark when it is put again; -1 where no lease is open. */
  #newestSince = -1

  constructor(writer: Writer, index: IndexReader) {
    this.#writer = writer
    this.#index = index
    const rows = index.db.prepare<[], { id: string; since: number }>('SELECT id, since FROM lease').all()
    for (const { id, since } of rows) this.#set(id, since)
  }

  get newestSince(): number {
    return this.#newestSince
  }

  async open(id: string, kind: { durable: boolean; keepsAll: boolean }): Promise<Lease> {
    if (this.#sinceById.size >= MAX_LEASES && !this.#sinceById.has(id)) {
      throw storageBusy('leases', MAX_LEASES)
    }
    const since = await this.#writer.call<number>('blocks.lease.open', { id, nowMs: Date.now(), ...kind })
    this.#set(id, since)
    return {
      id,
      touch: (cids) => this.#touch(since, cids),
      release: async () => {
        await this.#writer.call('blocks.lease.release', { id })
        this.#sinceById.delete(id)
        this.#newestSince = this.#sinceById.values().reduce((newest, since) => Math.max(newest, since), -1)
      },
    }
  }

  #set(id: string, since: number): void {
    this.#sinceById.set(id, since)
    this.#newestSince = Math.max(this.#newestSince, since)
  }

  async #touch(since: number, cids: CID[]): Promise<void> {
    for (let start = 0; start < cids.length; start += TOUCH_STEP) {
      if (start > 0) await new Promise((resolve) => setImmediate(resolve))
      const mhs: Uint8Array[] = []
      for (const { multihash } of cids.slice(start, start + TOUCH_STEP)) {
        if (multihash.code === IDENTITY_CODE) continue
        const row = this.#index.find(multihash.bytes)
        if (row === undefined || row.place === PLACE_MISSING || row.touched >= since) continue
        // A copy of its own: a view would take the whole buffer behind it along to the other thread.
        mhs.push(multihash.bytes.slice())
      }
      if (mhs.length > 0) await this.#writer.call('blocks.touch', { mhs })
    }
  }
}
