import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { forgetOldest } from './forget-oldest.ts'

/** RFC 8032. A seed is what the key pair is made from. */
export const PUBLIC_KEY_BYTES = 32
export const SEED_BYTES = 32
export const SIGNATURE_BYTES = 64

/** Who signs: the key of a peer, a slab, a publisher, a swarm's owner. */
export interface Signer {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  sign(bytes: Uint8Array): Uint8Array
}

// What DER puts before the 32 bytes of a key (RFC 8410).
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/**
 * A signer from a 32-byte seed: a slab's, or the first half of a libp2p Ed25519 private key's `raw`.
 *
 * @throws RangeError where it has another length
 */
export function ed25519Signer(seed: Uint8Array): Signer {
  if (seed.length !== SEED_BYTES) throw new RangeError('a seed has 32 bytes')
  const der = Buffer.concat([PKCS8_PREFIX, seed])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  der.fill(0)
  const publicKey = rawPublicKey(createPublicKey(key))
  return { publicKey, sign: (bytes) => sign(null, bytes, key) }
}

/**
 * Keys that were used last, as node:crypto has them: to make one takes 0.08 ms, a third of a verification, and most of what a
 * node checks comes from few publishers and peers. Some 0.5 KiB each.
 */
const MAX_KNOWN_KEYS = 512
const knownKeys = new Map<string, KeyObject>()

/** @throws where the bytes are not a point of the curve */
function keyOf(publicKey: Uint8Array): KeyObject {
  const name = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.byteLength).toString('latin1')
  const known = knownKeys.get(name)
  if (known !== undefined) return known
  const key = createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, publicKey]),
    format: 'der',
    type: 'spki',
  })
  forgetOldest(knownKeys, MAX_KNOWN_KEYS)
  knownKeys.set(name, key)
  return key
}

/** False for anything that is not a valid signature, malformed keys included. */
export function verifyEd25519(publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false
  try {
    return verify(null, bytes, keyOf(publicKey), signature)
  } catch {
    // Not a point of the curve.
    return false
  }
}

function rawPublicKey(key: KeyObject): Uint8Array {
  const der = key.export({ format: 'der', type: 'spki' })
  return Uint8Array.from(der.subarray(der.length - PUBLIC_KEY_BYTES))
}
