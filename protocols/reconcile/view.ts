import { Pacer } from '../shared/pacer.ts'
import { CUT_PARTS, ID_BYTES, LISTED_ENTRIES, TAG_BYTES } from './limits.ts'
import type { Snapshot } from './snapshot.ts'
import { tagsOf } from './tags.ts'

/** A range of ids, from `start` up to and without `end`; empty bounds are below and above all. */
export interface Span {
  readonly start: Uint8Array
  readonly end: Uint8Array
}

/** A range that is cut into parts: `bounds` are where the second and further ones begin. */
export interface Cut extends Span {
  readonly bounds: readonly Uint8Array[]
  /** One for each part; none where the tags of the range are wanted. */
  readonly fingerprints: readonly bigint[]
}

/** Everything. */
export const WHOLE: Span = { start: new Uint8Array(0), end: new Uint8Array(0) }

/** A snapshot under a session's key: what ranges of it add up to. */
export class View {
  readonly #snapshot: Snapshot
  /** Sums of the tags before each rank, number by number, modulo 2³². */
  readonly #sums: Uint32Array

  private constructor(snapshot: Snapshot, sums: Uint32Array) {
    this.#snapshot = snapshot
    this.#sums = sums
  }

  static async of(snapshot: Snapshot, key: Uint8Array): Promise<View> {
    const pacer = new Pacer()
    const tags = await tagsOf(snapshot.ids, key, pacer)
    await pacer.breathe()
    const sums = new Uint32Array(tags.length + 2)
    for (let at = 0; at < tags.length; at++) sums[at + 2] = sums[at]! + tags[at]!
    return new View(snapshot, sums)
  }

  get count(): number {
    return this.#snapshot.count
  }

  id(rank: number): Uint8Array {
    return this.#snapshot.ids.subarray(rank * ID_BYTES, (rank + 1) * ID_BYTES)
  }

  /** Ranks of a range: from the first up to and without the second. */
  ranks({ start, end }: Span): [number, number] {
    return [this.#rankOf(start), end.byteLength === 0 ? this.count : this.#rankOf(end)]
  }

  fingerprint(from: number, to: number): bigint {
    const sums = this.#sums
    return joined(sums[2 * to]! - sums[2 * from]!, sums[2 * to + 1]! - sums[2 * from + 1]!)
  }

  tag(rank: number): bigint {
    return this.fingerprint(rank, rank + 1)
  }

  tags(from: number, to: number): bigint[] {
    return Array.from({ length: to - from }, (_, index) => this.tag(from + index))
  }

  /** The range in parts that hold as many ids each: few enough to be listed if they differ, where CUT_PARTS parts suffice for that. */
  cut(span: Span): Cut {
    const [from, to] = this.ranks(span)
    const count = Math.max(1, Math.min(CUT_PARTS, Math.ceil((to - from) / LISTED_ENTRIES)))
    const edges = Array.from(
      { length: count + 1 },
      (_, index) => from + Math.floor((index * (to - from)) / count),
    )
    return {
      ...span,
      bounds: edges.slice(1, -1).map((rank) => this.#boundBefore(rank)),
      fingerprints: edges.slice(1).map((rank, index) => this.fingerprint(edges[index]!, rank)),
    }
  }

  /** The fewest bytes that are above the id before the rank, and not above the one at it. */
  #boundBefore(rank: number): Uint8Array {
    const [below, above] = [this.id(rank - 1), this.id(rank)]
    let same = 0
    while (below[same] === above[same]) same++
    return above.subarray(0, same + 1)
  }

  /** How many ids are below a bound. */
  #rankOf(bound: Uint8Array): number {
    const { ids, count } = this.#snapshot
    let [low, high] = [0, count]
    while (low < high) {
      const middle = (low + high) >>> 1
      const at = middle * ID_BYTES
      if (ids.compare(bound, 0, bound.byteLength, at, at + ID_BYTES) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The ranges of a cut's parts. */
export function partsOf({ start, end, bounds }: Cut): Span[] {
  return Array.from({ length: bounds.length + 1 }, (_, index) => ({
    start: bounds[index - 1] ?? start,
    end: bounds[index] ?? end,
  }))
}

/** Tags and fingerprints, one behind the other as they travel. */
export function packTags(tags: readonly bigint[]): Uint8Array {
  const bytes = Buffer.alloc(tags.length * TAG_BYTES)
  for (const [index, tag] of tags.entries()) bytes.writeBigUInt64LE(tag, index * TAG_BYTES)
  return bytes
}

/** Of bytes whose number is a multiple of TAG_BYTES. */
export function unpackTags(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.byteLength / TAG_BYTES }, (_, index) =>
    view.getBigUint64(index * TAG_BYTES, true),
  )
}

/** A tag as one number. */
export function joined(low: number, high: number): bigint {
  return BigInt(low >>> 0) | (BigInt(high >>> 0) << 32n)
}
