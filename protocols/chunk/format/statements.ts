import { create, toBinary } from '@bufbuild/protobuf'
import { chunkInvalid } from '../errors.ts'
import type { Deletion, Lease, Receipt, SignedBytes, SlabId } from '../types.ts'
import type { Signer } from '../../shared/ed25519.ts'
import { DeletionSchema, LeaseSchema, ReceiptSchema } from './format_pb.ts'
import { HASH_BYTES, MAX_COLUMNS, MAX_STATEMENT_PAYLOAD_BYTES, PUBLIC_KEY_BYTES } from './limits.ts'
import { parsePayload, wholeNumber } from './payload.ts'
import { type StatementKind, signStatement, verifyStatement } from './signed.ts'
import { slabIdOf } from './slab-id.ts'

/** By the slab's key: until when its columns are to be kept. A holder bounds `untilMs` itself (MAX_LEASE_MS). */
export function signLease(
  signer: Signer,
  networkName: string,
  fields: { untilMs: number; sequence: number },
): Lease {
  const { publicKey } = signer
  const message = create(LeaseSchema, {
    publicKey,
    untilMs: BigInt(fields.untilMs),
    sequence: BigInt(fields.sequence),
  })
  const signed = signStatement(signer, 'lease', networkName, toBinary(LeaseSchema, message))
  return { slab: slabIdOf(publicKey), publicKey, ...fields, signed }
}

/** @throws ERR_CHUNK_INVALID where the slab's key did not sign it for this network */
export function decodeLease(signed: SignedBytes, networkName: string): Lease {
  const message = parsePayload(LeaseSchema, signed, MAX_STATEMENT_PAYLOAD_BYTES, 'lease')
  checkSigned(message.publicKey, 'lease', networkName, signed)
  return {
    slab: slabIdOf(message.publicKey),
    publicKey: message.publicKey,
    untilMs: wholeNumber(message.untilMs, 'time'),
    sequence: wholeNumber(message.sequence, 'sequence number'),
    signed,
  }
}

/** By the slab's key: its columns are to be removed, and never to be taken again. */
export function signDeletion(signer: Signer, networkName: string, fields: { atMs: number }): Deletion {
  const { publicKey } = signer
  const message = create(DeletionSchema, { publicKey, atMs: BigInt(fields.atMs) })
  const signed = signStatement(signer, 'delete', networkName, toBinary(DeletionSchema, message))
  return { slab: slabIdOf(publicKey), publicKey, ...fields, signed }
}

/** @throws ERR_CHUNK_INVALID where the slab's key did not sign it for this network */
export function decodeDeletion(signed: SignedBytes, networkName: string): Deletion {
  const message = parsePayload(DeletionSchema, signed, MAX_STATEMENT_PAYLOAD_BYTES, 'deletion')
  checkSigned(message.publicKey, 'delete', networkName, signed)
  return {
    slab: slabIdOf(message.publicKey),
    publicKey: message.publicKey,
    atMs: wholeNumber(message.atMs, 'time'),
    signed,
  }
}

interface ReceiptFields {
  slab: SlabId
  column: number
  indexHash: Uint8Array
  untilMs: number
  atMs: number
}

/** By a holder's peer key, once the column is durable. */
export function signReceipt(holder: Signer, networkName: string, fields: ReceiptFields): Receipt {
  const message = create(ReceiptSchema, {
    slab: fields.slab,
    column: fields.column,
    indexHash: fields.indexHash,
    untilMs: BigInt(fields.untilMs),
    atMs: BigInt(fields.atMs),
  })
  const signed = signStatement(holder, 'receipt', networkName, toBinary(ReceiptSchema, message))
  return { ...fields, signed }
}

/** @throws ERR_CHUNK_INVALID where the holder with this key did not sign it for this network */
export function decodeReceipt(
  signed: SignedBytes,
  networkName: string,
  holderPublicKey: Uint8Array,
): Receipt {
  const message = parsePayload(ReceiptSchema, signed, MAX_STATEMENT_PAYLOAD_BYTES, 'receipt')
  const { slab, column, indexHash } = message
  if (slab.length !== HASH_BYTES || indexHash.length !== HASH_BYTES || column >= MAX_COLUMNS) {
    throw chunkInvalid('the receipt is out of bounds')
  }
  checkSigned(holderPublicKey, 'receipt', networkName, signed)
  return {
    slab,
    column,
    indexHash,
    untilMs: wholeNumber(message.untilMs, 'time'),
    atMs: wholeNumber(message.atMs, 'time'),
    signed,
  }
}

function checkSigned(
  publicKey: Uint8Array,
  kind: StatementKind,
  networkName: string,
  signed: SignedBytes,
): void {
  if (publicKey.length !== PUBLIC_KEY_BYTES) throw chunkInvalid(`the key of a ${kind} is not 32 bytes`)
  if (!verifyStatement(publicKey, kind, networkName, signed)) {
    throw chunkInvalid(`the signature of a ${kind} is wrong`)
  }
}
