import { create } from 'multiformats/hashes/digest'
import { digestOf } from '../content/hash.ts'
import { multihashKey } from './ledger.ts'
import { MAX_BLOCK_BYTES } from './limits.ts'

/**
 * The key under which these bytes are wanted, if they are: Bitswap does not say which block is sent, its hash does. Undefined for
 * hashes that are not known here, and for what is larger than any block.
 */
export function keyOfBlock(hashCode: number, bytes: Uint8Array): string | undefined {
  if (bytes.length > MAX_BLOCK_BYTES) return undefined
  const digest = digestOf(hashCode, bytes)
  return digest === undefined ? undefined : multihashKey(create(hashCode, digest).bytes)
}
