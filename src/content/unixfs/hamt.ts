import { murmur364 } from '@multiformats/murmur3'

/** Links a shard at most has. What Kubo and Helia write. */
export const HAMT_FANOUT = 256
/** multicodec of murmur3-x64-64, which the block names. */
export const HAMT_HASH_CODE = 0x22
/** The hash has 64 bits; names that agree in all of them cannot be kept apart, by Kubo neither. */
export const HAMT_HASH_BYTES = 8

/** The hash of a name, whose bytes, first to last, pick the slot on each level of shards with 256 slots. */
export function hamtHash(name: string): Uint8Array {
  const digest = murmur364.encode(new TextEncoder().encode(name))
  if (digest instanceof Promise) throw new Error('murmur3 became asynchronous')
  return digest
}

/** How a slot is written in front of names: as many hexadecimal digits as the largest slot has. */
export function slotPrefix(slot: number): string {
  return slot.toString(16).toUpperCase().padStart(2, '0')
}
