import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { ed25519Signer } from '../../protocols/shared/ed25519.ts'

/**
 * The key pair of a seed of 32 bytes (RFC 8032). @libp2p/crypto derives the public key in JavaScript, which takes some 50 ms of a
 * start, since nothing is compiled yet; OpenSSL needs less than one.
 */
export function ed25519FromSeed(seed: Uint8Array): Ed25519PrivateKey {
  return privateKeyFromRaw(new Uint8Array([...seed, ...ed25519Signer(seed).publicKey])) as Ed25519PrivateKey
}
