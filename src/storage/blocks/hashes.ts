import { hash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { decode } from 'multiformats/hashes/digest'
import type { MultihashDigest } from 'multiformats/hashes/interface'
import { equals } from 'uint8arrays/equals'
import { hashUnsupported } from '../errors.ts'

/** A CID with this hash function carries the block itself; it is never stored. */
export const IDENTITY_CODE = 0x00

/** Codes of the multicodec table that Node's OpenSSL computes. */
const ALGORITHMS: ReadonlyMap<number, string> = new Map([
  [0x12, 'sha256'],
  [0x13, 'sha512'],
  [0x20, 'sha384'],
  [0x16, 'sha3-256'],
  [0x14, 'sha3-512'],
])

const RAW_CODEC = 0x55

/** @throws ERR_HASH_UNSUPPORTED where blocks of this hash function cannot be verified */
export function assertHashSupported(multihash: MultihashDigest): void {
  if (multihash.code !== IDENTITY_CODE && !ALGORITHMS.has(multihash.code)) {
    throw hashUnsupported(multihash.code)
  }
}

/**
 * Whether the bytes are the block that the multihash names; a shortened digest never matches. Hashes on the calling
 * thread: a block is at most 2 MiB, some 1.2 ms of SHA-256.
 * @throws ERR_HASH_UNSUPPORTED
 */
export function matches(multihash: MultihashDigest, bytes: Uint8Array): boolean {
  if (multihash.code === IDENTITY_CODE) return equals(multihash.digest, bytes)
  const algorithm = ALGORITHMS.get(multihash.code)
  if (algorithm === undefined) throw hashUnsupported(multihash.code)
  return equals(hash(algorithm, bytes, 'buffer'), multihash.digest)
}

/** The raw CID of a multihash, for blocks of which only that is known. */
export function rawCid(mh: Uint8Array): CID {
  return CID.createV1(RAW_CODEC, decode(mh))
}

/** A multihash as a key of a map: one character a byte. */
export function keyOf(mh: Uint8Array): string {
  return Buffer.from(mh.buffer, mh.byteOffset, mh.byteLength).toString('latin1')
}
