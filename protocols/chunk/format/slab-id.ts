import { hash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { P2pnodeError } from '../../shared/errors.ts'
import type { SlabId } from '../types.ts'
import { HASH_BYTES, PUBLIC_KEY_BYTES } from './limits.ts'

const RAW_CODEC = 0x55
const SHA2_256 = 0x12

/** @throws RangeError where it is not the 32 bytes of an Ed25519 public key */
export function slabIdOf(publicKey: Uint8Array): SlabId {
  if (publicKey.length !== PUBLIC_KEY_BYTES) throw new RangeError('a public key has 32 bytes')
  return hash('sha256', publicKey, 'buffer')
}

/** The slab id as a key of maps and in texts: 64 digits of lower-case hex. */
export function slabKeyOf(slab: SlabId): string {
  return Buffer.from(slab.buffer, slab.byteOffset, slab.byteLength).toString('hex')
}

/** @throws ERR_SLAB_ID_INVALID where it is not 64 digits of lower-case hex */
export function slabOf(hex: string): SlabId {
  if (!/^[0-9a-f]{64}$/.test(hex)) {
    throw new P2pnodeError('ERR_SLAB_ID_INVALID', 'usage', 'a slab id is 64 digits of lower-case hex')
  }
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

export function isSlabId(bytes: Uint8Array): boolean {
  return bytes.length === HASH_BYTES
}

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && Buffer.compare(one, other) === 0
}

/**
 * Under which the holders of a group are found in the DHT, whose provider records are proven to work with SHA-256. The
 * block of this CID would be the slab's public key, which nobody serves.
 */
export function groupCid(group: SlabId): CID {
  return CID.createV1(RAW_CODEC, Digest.create(SHA2_256, group))
}
