import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf'
import { chunkInvalid } from '../errors.ts'
import type { SignedBytes } from '../types.ts'
import { SIGNATURE_BYTES } from './limits.ts'

/** The message in a statement's payload. @throws ERR_CHUNK_INVALID */
export function parsePayload<Schema extends DescMessage>(
  schema: Schema,
  { payload, signature }: SignedBytes,
  maxPayloadBytes: number,
  what: string,
): MessageShape<Schema> {
  if (payload.length > maxPayloadBytes || signature.length !== SIGNATURE_BYTES) {
    throw chunkInvalid(`the ${what} has a wrong size`)
  }
  try {
    return fromBinary(schema, payload, { readUnknownFields: false })
  } catch (cause) {
    throw chunkInvalid(`the ${what} is malformed`, cause)
  }
}

/** Times and counters as numbers. @throws ERR_CHUNK_INVALID beyond 2^53 */
export function wholeNumber(value: bigint, what: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw chunkInvalid(`a ${what} that is too large`)
  return Number(value)
}
