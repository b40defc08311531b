import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { PeerId } from '@libp2p/interface'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_BUNDLE, MAX_PAGE, MAX_SUBJECTS } from './limits.ts'
import { BundleSchema, RequestSchema, ResponseSchema } from './messages_pb.ts'
import { decodePeer } from '../shared/parse-ids.ts'
import { parsed } from '../shared/parsed.ts'
import type { Page, SignedBytes } from './types.ts'

export interface TrustRequest {
  since: bigint
  /** Empty where the request is not about somebody. */
  subjects: readonly PeerId[]
}

export interface TrustResponse extends Page {
  status: number
}

export function encodeRequest({ since, subjects }: TrustRequest): Uint8Array {
  return toBinary(
    RequestSchema,
    create(RequestSchema, { since, subjects: subjects.map((peer) => peer.toMultihash().bytes) }),
  )
}

/** @throws ProtocolViolationError */
export function decodeRequest(bytes: Uint8Array): TrustRequest {
  const { since, subjects } = parsed(() => fromBinary(RequestSchema, bytes, { readUnknownFields: false }))
  if (subjects.length > MAX_SUBJECTS)
    throw new ProtocolViolationError('too-many', 'a request about too many peers')
  return { since, subjects: subjects.map((subject) => decodePeer(subject)) }
}

export function encodeResponse({ status, recommendations, next, more }: TrustResponse): Uint8Array {
  return toBinary(
    ResponseSchema,
    create(ResponseSchema, { status, recommendations: [...recommendations], next, more }),
  )
}

/** The recommendations in it are not looked at yet. @throws ProtocolViolationError */
export function decodeResponse(bytes: Uint8Array): TrustResponse {
  const message = parsed(() => fromBinary(ResponseSchema, bytes, { readUnknownFields: false }))
  const { status, recommendations, next, more } = message
  if (recommendations.length > MAX_PAGE)
    throw new ProtocolViolationError('too-many', 'an answer with too many recommendations')
  return { status, recommendations: recommendations.map(signedBytes), next, more }
}

export function encodeBundle(recommendations: readonly SignedBytes[]): Uint8Array {
  return toBinary(BundleSchema, create(BundleSchema, { recommendations: [...recommendations] }))
}

/** @throws ProtocolViolationError */
export function decodeBundle(bytes: Uint8Array): SignedBytes[] {
  const { recommendations } = parsed(() => fromBinary(BundleSchema, bytes, { readUnknownFields: false }))
  if (recommendations.length === 0 || recommendations.length > MAX_BUNDLE)
    throw new ProtocolViolationError('too-many', 'a bundle of no or too many recommendations')
  return recommendations.map(signedBytes)
}

/** What is kept is no longer part of the bytes that came. */
function signedBytes({ payload, signature }: SignedBytes): SignedBytes {
  return { payload: Uint8Array.from(payload), signature: Uint8Array.from(signature) }
}
