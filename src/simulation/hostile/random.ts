import { createCipheriv, createHash } from 'node:crypto'

/** Numbers and bytes that follow from a seed, so that an experiment can be played again. Not for secrets. */
export interface SeededRandom {
  /** A whole number from 0 up to below the bound. */
  below(bound: number): number
  /** The items in another order. */
  shuffled<Item>(items: readonly Item[]): Item[]
  /** So many of the items, each once, or all there are. */
  some<Item>(items: readonly Item[], count: number): Item[]
  /** The same bytes for the same seed and label, whatever was drawn before. */
  bytes(label: string, count: number): Uint8Array
}

const UINT32 = 2 ** 32

export function seededRandom(seed: string): SeededRandom {
  let state = createHash('sha256').update(seed).digest().readUInt32BE(0)

  /** Mulberry32 (Tommy Ettinger, 2017): 32 bits of state are plenty for who does what. */
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / UINT32
  }

  const below = (bound: number): number => Math.floor(next() * bound)

  function shuffled<Item>(items: readonly Item[]): Item[] {
    const left = [...items]
    return items.flatMap(() => left.splice(below(left.length), 1))
  }

  return {
    below,
    shuffled,
    some: (items, count) => shuffled(items).slice(0, count),
    bytes(label, count) {
      // The key stream of a cipher: as incompressible as random bytes, and fast.
      const key = createHash('sha256').update(`${seed}\n${label}`).digest()
      return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(count))
    },
  }
}
