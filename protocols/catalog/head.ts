import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { Signer } from '../shared/ed25519.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { ID_BYTES, MAX_HEAD_BYTES } from './limits.ts'
import { HeadSchema, SignedSchema } from './messages_pb.ts'
import { parsed, wholeNumber } from '../shared/parsed.ts'
import { checkKey, checkSizes, encodeSigned, isSigned, sign } from './signed.ts'
import type { Head } from './types.ts'

/** The DHT's namespace of heads. */
export const HEAD_NAMESPACE = 'catalog'

const KEY_PREFIX = Buffer.from(`/${HEAD_NAMESPACE}/`)

/** `/catalog/` and the 32 bytes of the publisher's key. */
export function headKey(publisher: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([KEY_PREFIX, publisher]))
}

export function signHead(signer: Signer, networkName: string, head: Omit<Head, 'publisher'>): Uint8Array {
  const payload = toBinary(
    HeadSchema,
    create(HeadSchema, {
      publisher: signer.publicKey,
      sequence: BigInt(head.sequence),
      record: head.record,
      atMs: BigInt(head.atMs),
    }),
  )
  return encodeSigned(sign(signer, 'head', networkName, payload))
}

/**
 * The head that lies under a key, with its signature checked.
 *
 * @throws ProtocolViolationError
 */
export function decodeHead(key: Uint8Array, bytes: Uint8Array, networkName: string): Head {
  if (bytes.length > MAX_HEAD_BYTES)
    throw new ProtocolViolationError('oversize-head', 'a head that is too long')
  const signed = parsed(() => fromBinary(SignedSchema, bytes, { readUnknownFields: false }))
  checkSizes(signed, MAX_HEAD_BYTES)
  const message = parsed(() => fromBinary(HeadSchema, signed.payload, { readUnknownFields: false }))
  checkKey(message.publisher)
  if (Buffer.compare(headKey(message.publisher), key) !== 0)
    throw new ProtocolViolationError('bad-key', 'a head of another publisher')
  const head: Head = {
    publisher: message.publisher,
    sequence: wholeNumber(message.sequence),
    record: message.record,
    atMs: wholeNumber(message.atMs),
  }
  if (head.sequence === 0 || head.record.length !== ID_BYTES)
    throw new ProtocolViolationError('bad-sequence', 'a head of nothing')
  if (!isSigned(head.publisher, 'head', networkName, signed))
    throw new ProtocolViolationError('bad-signature', 'a head that its publisher did not sign')
  return head
}

type Ranked = Pick<Head, 'sequence' | 'record'>

/**
 * The higher number is the better one. Two records with one number are two histories: then the smaller id, as for the
 * records themselves, so that all come to the same.
 */
export function isBetterHead(head: Ranked, other: Ranked): boolean {
  if (head.sequence !== other.sequence) return head.sequence > other.sequence
  return Buffer.compare(head.record, other.record) < 0
}
