import { CID } from 'multiformats/cid'
import type { Marks } from '../types.ts'
import { Admission } from '../files/coordination.ts'
import type { GroupCommitter } from './committer.ts'
import { ITEM_MARK } from './group.ts'
import { keyOf } from './hashes.ts'
import type { IndexReader } from './index-reader.ts'
import type { Writer } from './writer.ts'

/** Marks under way: sixteen groups of a commit, as of puts. A large node's links wait, a slice at a time. */
const MARK_LIMITS = { count: 4_096, bytes: Number.POSITIVE_INFINITY, waiting: 65_536 }
const MARKS_PER_SLICE = 1_024

/** Marks taken back in one transaction: some 5 ms. */
const DROPS_PER_TRANSACTION = 500

const MAX_ROOTS_PER_PAGE = 1_000

const NOTHING = new Uint8Array(0)

/**
 * Marks in blocks.db, written with the groups of puts. One that is on its way counts already: between the moment in which a
 * block is called private and the commit nobody may take it for public.
 */
export class PrivateMarks implements Marks {
  readonly #writer: Writer
  readonly #index: IndexReader
  readonly #committer: GroupCommitter
  readonly #admission = new Admission(MARK_LIMITS)
  readonly #pending = new Map<string, Promise<unknown>>()
  readonly #rootPage
  /** Most nodes have no private content at all: then nothing is looked up. */
  #hasAny: boolean
  #isRenewing = false
  generation = 0

  constructor(writer: Writer, index: IndexReader, committer: GroupCommitter) {
    this.#writer = writer
    this.#index = index
    this.#committer = committer
    this.#hasAny = index.db.prepare('SELECT 1 FROM private_block LIMIT 1').get() !== undefined
    this.#rootPage = index.db.prepare<[Uint8Array, number], { cid: Buffer; created_ms: number }>(
      'SELECT cid, created_ms FROM private_root WHERE cid > ? ORDER BY cid LIMIT ?',
    )
  }

  has({ multihash }: CID): boolean {
    if (!this.#hasAny) return false
    try {
      return this.#pending.has(keyOf(multihash.bytes)) || this.#index.isMarked(multihash.bytes)
    } catch {
      // A store that is closed or failing says what does no harm.
      return true
    }
  }

  async add(cids: readonly CID[]): Promise<void> {
    for (let start = 0; start < cids.length; start += MARKS_PER_SLICE) {
      const slice = cids.slice(start, start + MARKS_PER_SLICE)
      await Promise.all(slice.flatMap((cid) => this.#add(cid) ?? []))
    }
  }

  async addRoot(cid: CID): Promise<void> {
    await this.add([cid])
    await this.#writer.call('marks.root.add', { cid: cid.bytes.slice(), nowMs: Date.now() })
  }

  async removeRoot(cid: CID): Promise<void> {
    await this.#writer.call('marks.root.remove', { cid: cid.bytes.slice() })
  }

  roots({
    after,
    limit = MAX_ROOTS_PER_PAGE,
  }: {
    after?: CID
    limit?: number
  } = {}): ReturnType<Marks['roots']> {
    const rows = this.#rootPage.all(after?.bytes ?? NOTHING, Math.min(limit, MAX_ROOTS_PER_PAGE))
    return rows.map(({ cid, created_ms }) => ({ cid: CID.decode(cid), createdAtMs: created_ms }))
  }

  async begin(): Promise<void> {
    this.#isRenewing = true
    this.generation += 1
    await this.#writer.call('marks.begin', {})
  }

  async drop(cids: readonly CID[]): Promise<void> {
    for (let start = 0; start < cids.length; start += DROPS_PER_TRANSACTION) {
      // Copies of their own: a view would take the whole buffer behind it along to the other thread.
      const mhs = cids
        .slice(start, start + DROPS_PER_TRANSACTION)
        .map(({ multihash }) => multihash.bytes.slice())
      await this.#writer.call('marks.drop', { mhs })
    }
  }

  end(): void {
    this.#isRenewing = false
  }

  /** Resolves when no mark is under way. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending.values())
  }

  #add(cid: CID): Promise<unknown> | undefined {
    const mh = cid.multihash.bytes
    const key = keyOf(mh)
    const pending = this.#pending.get(key)
    if (pending !== undefined && !this.#isRenewing) return pending
    if (this.#hasAny && !this.#isRenewing && this.#index.isMarked(mh)) return undefined
    this.#hasAny = true
    const marked: Promise<unknown> = this.#commit(mh).finally(() => {
      if (this.#pending.get(key) === marked) this.#pending.delete(key)
    })
    this.#pending.set(key, marked)
    return marked
  }

  async #commit(mh: Uint8Array): Promise<void> {
    const leave = await this.#admission.enter(mh.byteLength)
    try {
      await this.#committer.add({ kind: ITEM_MARK, mh, sizeBytes: 0, isAdded: false, data: NOTHING })
    } finally {
      leave()
    }
  }
}
