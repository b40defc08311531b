import { hash } from 'node:crypto'
import type { CID } from 'multiformats/cid'
import { hashUnsupported } from './errors.ts'

const IDENTITY = 0x00

/** Multihash code to the name that node:crypto knows. All of them run at well over 500 MiB/s and inline. */
const ALGORITHMS: ReadonlyMap<number, string> = new Map([
  [0x12, 'sha256'],
  [0x13, 'sha512'],
  [0x14, 'sha3-512'],
  [0x15, 'sha3-384'],
  [0x16, 'sha3-256'],
  [0x17, 'sha3-224'],
])

/**
 * True when the bytes are those that the CID names.
 *
 * Hashing one block takes about a millisecond and runs inline. Measured over 512 MiB in blocks of 1 MiB: digests on the
 * thread pool took 2 to 5 % off this thread and cost the process 10 % more; hashing each piece as it comes won nothing.
 *
 * @throws ERR_HASH_UNSUPPORTED
 */
export function matches(cid: CID, bytes: Uint8Array): boolean {
  const { code, digest } = cid.multihash
  if (code === IDENTITY) return Buffer.compare(digest, bytes) === 0
  const whole = digestOf(code, bytes)
  if (whole === undefined) throw hashUnsupported(code)
  // A truncated digest would let a peer choose among many blocks; only whole digests are accepted.
  return Buffer.compare(whole, digest) === 0
}

/** Undefined for hashes that are not known here. */
export function digestOf(code: number, bytes: Uint8Array): Uint8Array | undefined {
  const algorithm = ALGORITHMS.get(code)
  return algorithm === undefined ? undefined : hash(algorithm, bytes, 'buffer')
}

export function isSupportedHash(cid: CID): boolean {
  return cid.multihash.code === IDENTITY || ALGORITHMS.has(cid.multihash.code)
}

/** The bytes of an identity CID, which are in the CID itself. */
export function inlineBytes(cid: CID): Uint8Array | undefined {
  return cid.multihash.code === IDENTITY ? cid.multihash.digest : undefined
}

/**
 * A short text that is equal for CIDs of the same codec and multihash. Ten times as fast to make as the CID's own text,
 * and for maps alone: it is not printable.
 */
export function keyOf(cid: CID): string {
  const { bytes } = cid.multihash
  return `${cid.code}:${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')}`
}
