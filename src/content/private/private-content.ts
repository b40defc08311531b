import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { keyOf } from '../../../protocols/content/hash.ts'
import type { Blocks, Marks, PutOptions } from '../../storage/types.ts'
import { contentPrivate, sharedWithPrivate } from '../errors.ts'
import { Pace } from '../pace.ts'
import type { MarkChange, PrivateMark } from './types.ts'
import { linksOf, walkHeld } from './walk-held.ts'

const SHA_256 = 0x12
const RAW = 0x55
const DAG_PB = 0x70

/**
 * The empty file and the empty folder, in the forms in which UnixFS writes them. They are in half of all trees and tell nothing:
 * were they private once, whatever is public would have holes.
 */
const EMPTY_BLOCKS = ['', '0a020801', '0a020802', '0a0408021800']
const EMPTY_KEYS: ReadonlySet<string> = new Set(
  EMPTY_BLOCKS.flatMap((hex) => {
    const digest = Digest.create(SHA_256, createHash('sha256').update(Buffer.from(hex, 'hex')).digest())
    return [RAW, DAG_PB].map((code) => keyOf(CID.createV1(code, digest)))
  }),
)

/** CIDs marked together. */
const BATCH = 512

export interface PrivateContentDependencies {
  blocks: Pick<Blocks, 'get' | 'put'>
  marks: Marks
}

/**
 * What is private here, and how it comes to be: a block's mark is durable before the block is, and what it links to is marked
 * with it, so that a part that has not come yet is private already.
 */
export class PrivateContent implements PrivateMark {
  readonly #blocks: Pick<Blocks, 'get' | 'put'>
  readonly #marks: Marks
  readonly #listeners = new Set<(change: MarkChange) => void>()

  constructor({ blocks, marks }: PrivateContentDependencies) {
    this.#blocks = blocks
    this.#marks = marks
  }

  /** Bound, so that it can be handed on by itself. */
  readonly isPrivate = (cid: CID): boolean => this.#marks.has(cid)

  /** @throws ERR_CONTENT_PRIVATE */
  assertPublic(cid: CID): void {
    if (this.isPrivate(cid)) throw contentPrivate(cid)
  }

  /** Calls back once marks are durable, for what has told of it so far; a listener never throws. Returns what ends it. */
  onChange(listener: (change: MarkChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Counts renewals: see `addRoot`. */
  get generation(): number {
    return this.#marks.generation
  }

  /** A put of a private block: its mark and those of its links first. */
  async put(cid: CID, bytes: Uint8Array, options: PutOptions): Promise<void> {
    await this.#mark([cid, ...linksOf(cid, bytes)])
    await this.#blocks.put(cid, bytes, options)
  }

  /** Resolves when the CID, whether it is held or not, is private for good. */
  async markRoot(root: CID): Promise<void> {
    try {
      await this.#marks.addRoot(root)
    } finally {
      // Whether it had a mark before or not, and also where only the mark could be written: nothing of it is to be told.
      if (this.isPrivate(root)) this.#tell({ made: 'private', cids: [root], isRoot: true })
    }
  }

  /**
   * After an import of private content: names its root. Where marks were taken back since the import began (its `generation`
   * then), or nobody knows whether they were, everything below is marked again.
   */
  async addRoot(root: CID, since: number | undefined, signal: AbortSignal): Promise<void> {
    await this.markRoot(root)
    if (since !== this.generation) await this.markBelow(root, signal)
  }

  /** Marks everything of the DAG that is held, and what that links to. Gives the number of blocks walked through. */
  async markBelow(root: CID, signal: AbortSignal, onBlocks?: (blocks: number) => void): Promise<number> {
    await this.markRoot(root)
    return this.#walk(root, signal, (cids) => this.#mark(cids), onBlocks)
  }

  /**
   * Makes a DAG public, but for what it shares with another root that is private. What is held of those is walked through
   * first, so the time it takes grows with everything that is private.
   */
  async makePublic(root: CID, signal: AbortSignal, onBlocks?: (blocks: number) => void): Promise<number> {
    const marks = this.#marks
    await marks.begin()
    try {
      for (let page = marks.roots(); page.length > 0; page = marks.roots({ after: page.at(-1)!.cid })) {
        for (const { cid } of page) if (keyOf(cid) !== keyOf(root)) await this.markBelow(cid, signal)
      }
      const blocks = await this.#walk(root, signal, (cids) => marks.drop(cids), onBlocks)
      if (this.isPrivate(root)) throw sharedWithPrivate(root)
      // Last: a walk that was broken off must leave the root private.
      await marks.removeRoot(root)
      return blocks
    } finally {
      marks.end()
      // Also where it was broken off: some marks are gone by then.
      this.#tell({ made: 'public' })
    }
  }

  roots(options?: { after?: CID; limit?: number }): { cid: CID; createdAtMs: number }[] {
    return this.#marks.roots(options)
  }

  async #walk(
    root: CID,
    signal: AbortSignal,
    take: (cids: CID[]) => Promise<void>,
    onBlocks: ((blocks: number) => void) | undefined,
  ): Promise<number> {
    const pace = new Pace()
    let blocks = 0
    let batch: CID[] = []
    for await (const cid of walkHeld(this.#blocks, root, signal)) {
      blocks += 1
      batch.push(cid)
      if (batch.length >= BATCH) {
        await take(batch)
        batch = []
        onBlocks?.(blocks)
      }
      await pace.breathe()
    }
    await take(batch)
    return blocks
  }

  async #mark(all: CID[]): Promise<void> {
    const cids = all.filter((cid) => !EMPTY_KEYS.has(keyOf(cid)))
    const fresh = this.#listeners.size === 0 ? [] : cids.filter((cid) => !this.isPrivate(cid))
    await this.#marks.add(cids)
    if (fresh.length > 0) this.#tell({ made: 'private', cids: fresh, isRoot: false })
  }

  #tell(change: MarkChange): void {
    for (const listener of this.#listeners) listener(change)
  }
}
