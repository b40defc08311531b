import { createPublicKey } from 'node:crypto'
import type { Ed25519PeerId, PeerId, PublicKey } from '@libp2p/interface'
import { varint } from 'multiformats'
import { base58btc } from 'multiformats/bases/base58'

/** Multicodec codes of public keys (the multicodec table). */
const ED25519_PUB = 0xed
const SECP256K1_PUB = 0xe7
const RSA_PUB = 0x1205

/**
 * The `did:key` of a peer: `did:key:` and the base58btc text of the key's multicodec code and its bytes (W3C CCG, "The
 * did:key Method").
 *
 * Undefined where there is none to be had: the id of an RSA peer is only a hash, so that its key must be known from a
 * connection, and keys of other types are not written as `did:key` here. An Ed25519 peer, this node among them, always
 * has one.
 */
export function didFromPeerId(peerId: Ed25519PeerId): string
export function didFromPeerId(peerId: PeerId): string | undefined
export function didFromPeerId({ publicKey }: PeerId): string | undefined {
  const bytes = publicKey === undefined ? undefined : multikey(publicKey)
  return bytes === undefined ? undefined : `did:key:${base58btc.encode(bytes)}`
}

function multikey(key: PublicKey): Uint8Array | undefined {
  switch (key.type) {
    case 'Ed25519':
      return prefixed(ED25519_PUB, key.raw)
    case 'secp256k1':
      return prefixed(SECP256K1_PUB, key.raw)
    case 'RSA': {
      // libp2p keeps RSA keys as PKIX, did:key as the PKCS #1 structure inside it.
      const pkix = createPublicKey({ key: Buffer.from(key.raw), format: 'der', type: 'spki' })
      return prefixed(RSA_PUB, pkix.export({ format: 'der', type: 'pkcs1' }))
    }
    default:
      return undefined
  }
}

function prefixed(code: number, bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(varint.encodingLength(code) + bytes.length)
  varint.encodeTo(code, whole)
  whole.set(bytes, varint.encodingLength(code))
  return whole
}
