import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { CID } from 'multiformats/cid'
import { Pacer } from '../shared/pacer.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import {
  MAX_FILTER_BITS_BYTES,
  MAX_FILTER_BYTES,
  MAX_FILTER_FALSE_POSITIVES,
  MAX_FILTER_HASHES,
  MIN_FILTER_BITS_BYTES,
} from './limits.ts'
import { RootFilterSchema } from './messages_pb.ts'
import { parsed } from '../shared/parsed.ts'

/** Bits and positions of a root for 1 % false positives: n · ln(1/p) / ln²2, and m/n · ln 2. */
const BITS_PER_ROOT = 9.585
const HASHES = 7

/** The library counts seeds up from the one it is given, and hashes with 32 bits of it. */
const MAX_SEED = 2 ** 31 - 1

/** Roots that a filter of the largest size holds at 1 %. */
export const MAX_FILTER_ROOTS = Math.floor((MAX_FILTER_BITS_BYTES * 8) / BITS_PER_ROOT)

interface BloomFilter {
  seed: number
  readonly length: number
  add(element: Buffer): void
  has(element: Buffer): boolean
  saveAsJSON(): object
}

interface BloomFilterClass {
  new (bits: number, hashes: number): BloomFilter
  fromJSON(saved: object): BloomFilter
}

/** Its one class, and only once a filter is made or comes: the whole library brings a good deal more. */
async function bloomFilter(): Promise<BloomFilterClass> {
  const { default: found } = (await import('bloom-filters/dist/bloom/bloom-filter.js')) as unknown as {
    default: BloomFilterClass | { default: BloomFilterClass }
  }
  // CommonJS with a default export of its own: Node, bundlers and vitest do not agree on how deep that lies.
  return 'default' in found ? found.default : found
}

/**
 * A Bloom filter of content roots: says no for certain, and yes wrongly for 1 % of others. Roots are known by their
 * multihash, so that all CIDs of one block are the same.
 */
export class RootFilter {
  readonly #filter: BloomFilter
  readonly #bits: number
  readonly #hashes: number

  private constructor(filter: BloomFilter, bits: number, hashes: number) {
    this.#filter = filter
    this.#bits = bits
    this.#hashes = hashes
  }

  /** Of at most MAX_FILTER_ROOTS roots; gives the event loop its turns. @throws the signal's reason */
  static async build(roots: readonly CID[], seed: number, signal: AbortSignal): Promise<RootFilter> {
    const Filter = await bloomFilter()
    const wanted = Math.ceil((roots.length * BITS_PER_ROOT) / 8)
    const bytes = Math.min(MAX_FILTER_BITS_BYTES, Math.max(MIN_FILTER_BITS_BYTES, wanted))
    const filter = new Filter(bytes * 8, HASHES)
    filter.seed = seed & MAX_SEED
    const pacer = new Pacer()
    for (const root of roots.slice(0, MAX_FILTER_ROOTS)) {
      filter.add(Buffer.from(root.multihash.bytes))
      await pacer.breathe()
      signal.throwIfAborted()
    }
    return new RootFilter(filter, bytes * 8, HASHES)
  }

  /** @throws ProtocolViolationError where it is too large, is none, or would say yes to nearly everything */
  static async decode(block: Uint8Array): Promise<RootFilter> {
    if (block.length > MAX_FILTER_BYTES) throw unusable('oversize-filter', 'more than a filter may have')
    const { hashes, seed, bits } = parsed(() => fromBinary(RootFilterSchema, block))
    if (bits.length > MAX_FILTER_BITS_BYTES) throw unusable('oversize-filter', 'more than a filter may have')
    if (bits.length < MIN_FILTER_BITS_BYTES || hashes < 1 || hashes > MAX_FILTER_HASHES || seed > MAX_SEED)
      throw unusable('malformed-filter', 'a filter out of bounds')
    const Filter = await bloomFilter()
    const size = bits.length * 8
    const filter = Filter.fromJSON({
      type: 'BloomFilter',
      _size: size,
      _nbHashes: hashes,
      _seed: seed,
      _filter: { size, content: Buffer.from(bits).toString('base64') },
    })
    const read = new RootFilter(filter, size, hashes)
    if (read.falsePositives > MAX_FILTER_FALSE_POSITIVES)
      throw unusable('filter-too-full', 'a filter that claims nearly everything')
    return read
  }

  encode(): Uint8Array {
    const saved = this.#filter.saveAsJSON() as { _seed: number; _filter: { content: string } }
    const value = {
      hashes: this.#hashes,
      seed: saved._seed,
      bits: Buffer.from(saved._filter.content, 'base64'),
    }
    return toBinary(RootFilterSchema, create(RootFilterSchema, value))
  }

  /** False: it was not given this root. */
  mayHave(root: CID): boolean {
    return this.#filter.has(Buffer.from(root.multihash.bytes))
  }

  /** Part of what it was never given that it says yes to, going by how full it is; in [0, 1]. */
  get falsePositives(): number {
    return (this.#filter.length / this.#bits) ** this.#hashes
  }

  get bytes(): number {
    return this.#bits / 8
  }
}

function unusable(rule: string, message: string): ProtocolViolationError {
  return new ProtocolViolationError(rule, message)
}
