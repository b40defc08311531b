import * as dagCbor from '@ipld/dag-cbor'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { nameOfKey, type KeyName } from '../../src/content/names/name.ts'

export interface SignedName {
  key: Ed25519PrivateKey
  name: KeyName
}

export async function newName(): Promise<SignedName> {
  const key = await generateKeyPair('Ed25519')
  return { key, name: nameOfKey(key.publicKey.toMultihash()) }
}

/** What is signed of a record; any of it may be wrong. */
export interface RecordFields {
  Value?: unknown
  Validity?: unknown
  ValidityType?: unknown
  Sequence?: unknown
  TTL?: unknown
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

/** A record of version 2 by the specification, byte by byte, so that it can be made wrong in every place. */
export async function rawRecord(
  key: Ed25519PrivateKey,
  fields: RecordFields = {},
  { padding = 0 }: { padding?: number } = {},
): Promise<Uint8Array> {
  const all = {
    Value: text('/ipfs/bafkqaaa'),
    Validity: text(new Date(Date.now() + 3_600_000).toISOString().replace('Z', '000000Z')),
    ValidityType: 0,
    Sequence: 1n,
    TTL: 60_000_000_000n,
    ...fields,
  }
  // What is undefined is left out.
  const data = dagCbor.encode(
    Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)),
  )
  const signature = await key.sign(Buffer.concat([text('ipns-signature:'), data]))
  const parts = [...field(8, signature), ...field(9, data)]
  if (padding > 0) parts.push(...field(15, new Uint8Array(padding)))
  return Uint8Array.from(parts)
}

/** A length-delimited field of protobuf. */
function field(number: number, bytes: Uint8Array): number[] {
  return [...varint((number << 3) | 2), ...varint(bytes.length), ...bytes]
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]
}
