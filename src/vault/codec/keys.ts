/** All derivations of docs/vault-format.md, "Keys", in one place. */
import { createHash, hkdfSync } from 'node:crypto'
import { KEY_BYTES, NONCE_BYTES } from './limits.ts'
import type { SegmentKey } from './types.ts'

const DOMAIN = 'p2pnode/vault/1'
const NO_SALT = new Uint8Array(0)

/** What a segment belongs to: the put's files, or one of the two layers of a manifest. */
export type Layer = 'segment' | 'map' | 'body'

/** The seed of a slab's Ed25519 key. */
export function slabSeed(ownerSecret: Uint8Array, slabSalt: Uint8Array): Uint8Array {
  return derive(ownerSecret, slabSalt, `${DOMAIN}/slab-key`, KEY_BYTES)
}

/** The salt of the slab seed of one version of the owner's state: known without the state, so that recovery finds it. */
export function stateSlabSalt(version: number | bigint): Uint8Array {
  const number = Buffer.alloc(8)
  number.writeBigUInt64BE(BigInt(version))
  return new Uint8Array(createHash('sha256').update('state').update(number).digest())
}

/** What seals secrets in the owner's tables of state.db. */
export function stateAtRestKey(ownerSecret: Uint8Array): Uint8Array {
  return derive(ownerSecret, NO_SALT, `${DOMAIN}/state-at-rest`, KEY_BYTES)
}

/** What seals versions of the owner's state in the network, in place of a read key. */
export function stateKey(ownerSecret: Uint8Array): Uint8Array {
  return derive(ownerSecret, NO_SALT, `${DOMAIN}/state-key`, KEY_BYTES)
}

export function verifyKey(readKey: Uint8Array): Uint8Array {
  return derive(readKey, NO_SALT, `${DOMAIN}/verify-key`, KEY_BYTES)
}

/**
 * Key and nonce of one segment.
 *
 * @param layerKey the file key for `segment`, the verify key for `map`, the read key for `body`
 */
export function segmentKey(
  layer: Layer,
  layerKey: Uint8Array,
  slabSalt: Uint8Array,
  number: number,
): SegmentKey {
  const info = Buffer.from(`${DOMAIN}/${layer}....`)
  info.writeUInt32BE(number, info.length - 4)
  const bytes = derive(layerKey, slabSalt, info, KEY_BYTES + NONCE_BYTES)
  return { key: bytes.slice(0, KEY_BYTES), nonce: bytes.slice(KEY_BYTES) }
}

/** What a sealed segment is bound to beside its key: place and mode cannot be exchanged. */
export function associatedData(slab: Uint8Array, number: number, mode: number): Uint8Array {
  const rest = Buffer.alloc(5)
  rest.writeUInt32BE(number)
  rest.writeUInt8(mode, 4)
  return Buffer.concat([Buffer.from(DOMAIN), slab, rest])
}

function derive(key: Uint8Array, salt: Uint8Array, info: string | Uint8Array, bytes: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, salt, info, bytes))
}
