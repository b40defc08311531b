import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { chunkInvalid } from '../errors.ts'
import type { SignedBytes } from '../types.ts'
import { DeletionsSchema } from './format_pb.ts'
import { MAX_DELETIONS, MAX_STATEMENT_PAYLOAD_BYTES, SIGNATURE_BYTES } from './limits.ts'

/** One message of gossip. @throws RangeError where there are none, or more than 16 */
export function encodeDeletions(deletions: readonly SignedBytes[]): Uint8Array {
  if (deletions.length < 1 || deletions.length > MAX_DELETIONS) {
    throw new RangeError(`a message has 1 to ${MAX_DELETIONS} deletions`)
  }
  const message = { deletions: deletions.map(({ payload, signature }) => ({ payload, signature })) }
  return toBinary(DeletionsSchema, create(DeletionsSchema, message))
}

/** Nothing is verified but sizes: `decodeDeletion` does. @throws ERR_CHUNK_INVALID */
export function decodeDeletions(bytes: Uint8Array): SignedBytes[] {
  let deletions: SignedBytes[]
  try {
    deletions = fromBinary(DeletionsSchema, bytes, { readUnknownFields: false }).deletions
  } catch (cause) {
    throw chunkInvalid('bytes that are no deletions', cause)
  }
  const isBounded =
    deletions.length >= 1 &&
    deletions.length <= MAX_DELETIONS &&
    deletions.every(
      ({ payload, signature }) =>
        payload.length > 0 &&
        payload.length <= MAX_STATEMENT_PAYLOAD_BYTES &&
        signature.length === SIGNATURE_BYTES,
    )
  if (!isBounded) throw chunkInvalid('deletions out of bounds')
  return deletions.map(({ payload, signature }) => ({ payload, signature }))
}
