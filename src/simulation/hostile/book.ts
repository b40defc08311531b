import { slabIdOf, slabKeyOf } from '../../../protocols/chunk/format/index.ts'
import type { StoreOpen } from '../../../protocols/chunk/types.ts'
import type { Deeds } from './behaviours.ts'

/** One column that an owner placed. */
interface Placement {
  slab: string
  /** Of a file, and no copy of its owner's own state. */
  isCoded: boolean
  isLost: boolean
  isUnproven: boolean
}

export interface Placed {
  columns: number
  lostColumns: number
  /** The most columns of one slab of a file on holders that had proved nothing to its owner. */
  mostUnproven: number
  lostBytes: number
  repairedBytes: number
}

/** What is noted while nodes run; each round opens a new page. */
export class Book {
  readonly deeds: Deeds = { falseBytes: 0, falseAnswers: 0 }
  #placements: Placement[] = []
  #lostBytes = 0
  #repairedBytes = 0
  #before: Deeds = { falseBytes: 0, falseAnswers: 0 }

  /** A column comes to a holder; what is returned is called once it is kept. */
  column(open: StoreOpen, about: { isLost: boolean; isUnproven: boolean }): (bytes: number) => void {
    const slab = slabKeyOf(slabIdOf(open.publicKey))
    return (bytes) => {
      if (about.isLost) this.#lostBytes += bytes
      if (open.purpose === 'put') this.#placements.push({ slab, isCoded: open.k > 1, ...about })
      else this.#repairedBytes += bytes
    }
  }

  /** Of this round, which ends with it. */
  turn(): Placed & Deeds {
    const unproven = new Map<string, number>()
    for (const { slab, isCoded, isUnproven } of this.#placements)
      if (isCoded) unproven.set(slab, (unproven.get(slab) ?? 0) + Number(isUnproven))
    const placed = {
      columns: this.#placements.length,
      lostColumns: this.#placements.filter(({ isLost }) => isLost).length,
      mostUnproven: Math.max(0, ...unproven.values()),
      lostBytes: this.#lostBytes,
      repairedBytes: this.#repairedBytes,
      falseBytes: this.deeds.falseBytes - this.#before.falseBytes,
      falseAnswers: this.deeds.falseAnswers - this.#before.falseAnswers,
    }
    this.#placements = []
    this.#lostBytes = 0
    this.#repairedBytes = 0
    this.#before = { ...this.deeds }
    return placed
  }
}
