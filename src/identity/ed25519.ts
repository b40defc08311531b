import { createPrivateKey, createPublicKey } from 'node:crypto'
import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'

/** What stands before the 32 bytes of the secret in PKCS #8 (RFC 8410, section 7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const PUBLIC_KEY_BYTES = 32

/**
 * The key pair of a seed of 32 bytes (RFC 8032). @libp2p/crypto derives the public key in JavaScript, which takes some 50 ms of a
 * start, since nothing is compiled yet; OpenSSL needs less than one.
 */
export function ed25519FromSeed(seed: Uint8Array): Ed25519PrivateKey {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-PUBLIC_KEY_BYTES)
  return privateKeyFromRaw(new Uint8Array([...seed, ...publicKey])) as Ed25519PrivateKey
}
