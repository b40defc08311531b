import { hash } from 'node:crypto'
import { create, toBinary } from '@bufbuild/protobuf'
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES, type Signer, verifyEd25519 } from '../shared/ed25519.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { SignedSchema } from './messages_pb.ts'
import type { SignedBytes } from './types.ts'

/** What is signed; part of the signature, so that a head cannot be passed off as a record. */
export type Statement = 'record' | 'head'

const DOMAIN = 'p2pnode/catalog/1/'

/** `domain ‖ kind ‖ 0x00 ‖ network name ‖ 0x00 ‖ payload`: what is published in one network holds in that one. */
function signedInput(statement: Statement, networkName: string, payload: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${DOMAIN}${statement}\0${networkName}\0`), payload])
}

export function sign(
  signer: Signer,
  statement: Statement,
  networkName: string,
  payload: Uint8Array,
): SignedBytes {
  const signature = signer.sign(signedInput(statement, networkName, payload))
  return { payload, signature: new Uint8Array(signature) }
}

/** Some 0.1 ms of computing. */
export function isSigned(
  publisher: Uint8Array,
  statement: Statement,
  networkName: string,
  { payload, signature }: SignedBytes,
): boolean {
  return verifyEd25519(publisher, signedInput(statement, networkName, payload), signature)
}

export function encodeSigned(signed: SignedBytes): Uint8Array {
  return toBinary(SignedSchema, create(SignedSchema, signed))
}

export function idOf(payload: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', payload, 'buffer'))
}

/** @throws ProtocolViolationError `bad-size` */
export function checkSizes({ payload, signature }: SignedBytes, maxPayloadBytes: number): void {
  if (payload.length === 0 || payload.length > maxPayloadBytes || signature.length !== SIGNATURE_BYTES)
    throw new ProtocolViolationError('bad-size', 'a signed message of the wrong size')
}

/** @throws ProtocolViolationError `bad-key` */
export function checkKey(publisher: Uint8Array): void {
  if (publisher.length !== PUBLIC_KEY_BYTES)
    throw new ProtocolViolationError('bad-key', 'a publisher that is no Ed25519 key')
}
