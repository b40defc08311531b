import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { MAX_FILTER_ROOTS, RootFilter } from '../../../protocols/content/index.ts'
import type { BlockSource, Capabilities } from '../../../protocols/content/types.ts'
import type { Pins } from '../../storage/types.ts'
import { Pace } from '../pace.ts'
import type { PrivateMark } from '../private/types.ts'
import { PINS_PAGE } from './limits.ts'

const RAW = 0x55
const SHA_256 = 0x12

interface FilterBlock {
  cid: CID
  bytes: Uint8Array
  filter: RootFilter
}

export interface OwnFilterOptions {
  pins: Pick<Pins, 'list'>
  privateMark: PrivateMark
  /** From which the positions of roots follow: two nodes shall not be wrong about the same ones. */
  did: string
}

/**
 * The filter of what this node pins recursively, as the block that peers ask for. Roots that are private are not in it, nor, of
 * more than it has room for, the oldest.
 */
export class OwnFilter {
  readonly #options: OwnFilterOptions
  readonly #seed: number
  #current: FilterBlock | undefined
  /** Whoever was told of this one just before may still come for it. */
  #previous: FilterBlock | undefined
  /** How often marks have changed, and how often they had when the filter was begun that is served now. */
  #marks = 0
  #madeMarks = 0

  constructor(options: OwnFilterOptions) {
    this.#options = options
    this.#seed = createHash('sha256').update(options.did).digest().readUInt32BE(0) >>> 1
  }

  /** As capabilities name it; null until it is made for the first time. */
  get reference(): Capabilities['filter'] {
    return this.#current === undefined ? null : { cid: this.#current.cid, bytes: this.#current.bytes.length }
  }

  /** Whether one that is served tells of any of these; now and then it says so of what is in none. */
  mayTellOf(cids: readonly CID[]): boolean {
    const served = [this.#current, this.#previous].filter((block) => block !== undefined)
    return served.some(({ filter }) => cids.some((cid) => filter.mayHave(cid)))
  }

  /** What is served may tell of something private: the one before is served no more, and this one until the next is made. */
  marksChanged(): void {
    this.#marks += 1
    this.#previous = undefined
  }

  /** Makes it again out of the pins there are now; one at a time. @throws the signal's reason */
  async rebuild(signal: AbortSignal): Promise<void> {
    const marks = this.#marks
    const filter = await RootFilter.build(await this.#roots(signal), this.#seed, signal)
    const bytes = filter.encode()
    const cid = CID.createV1(RAW, Digest.create(SHA_256, createHash('sha256').update(bytes).digest()))
    const hasSameMarks = this.#madeMarks === marks && this.#marks === marks
    this.#madeMarks = marks
    if (this.#current?.cid.equals(cid) === true) return
    this.#previous = hasSameMarks ? this.#current : undefined
    this.#current = { cid, bytes, filter }
  }

  /** `blocks`, and in front of it this filter. */
  serving(blocks: BlockSource): BlockSource {
    return {
      get: async (cid, options) => this.#block(cid) ?? blocks.get(cid, options),
      has: async (cid) => this.#block(cid) !== undefined || blocks.has(cid),
    }
  }

  #block(cid: CID): Uint8Array | undefined {
    return [this.#current, this.#previous].find((block) => block?.cid.equals(cid) === true)?.bytes
  }

  /** The newest that there is room for. Pins are listed by their age. */
  async #roots(signal: AbortSignal): Promise<CID[]> {
    const { pins, privateMark } = this.#options
    const pace = new Pace()
    let roots: CID[] = []
    for (let afterId: number | null = 0; afterId !== null; ) {
      const page = pins.list({ kind: 'recursive', limit: PINS_PAGE, afterId })
      for (const { cid, state } of page.pins)
        if (state === 'pinned' && !privateMark.isPrivate(cid)) roots.push(cid)
      if (roots.length > 2 * MAX_FILTER_ROOTS) roots = roots.slice(-MAX_FILTER_ROOTS)
      afterId = page.nextAfterId
      await pace.breathe()
      signal.throwIfAborted()
    }
    return roots.slice(-MAX_FILTER_ROOTS)
  }
}
