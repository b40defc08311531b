import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { parsed, wholeNumber } from '../shared/parsed.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_BUNDLE_PAYLOADS } from './limits.ts'
import { BundleSchema } from './messages_pb.ts'
import type { Bundle } from './types.ts'

/** The caller has kept to MAX_BUNDLE_PAYLOADS and to what gossip carries as one piece. */
export function encodeBundle({ sequence, timeMs, payloads }: Bundle): Uint8Array {
  const message = create(BundleSchema, { sequence, timeMs: BigInt(timeMs), payloads: [...payloads] })
  return toBinary(BundleSchema, message)
}

/** @throws ProtocolViolationError `malformed-message`, `oversize-bundle` */
export function decodeBundle(bytes: Uint8Array): Bundle {
  const { sequence, timeMs, payloads } = parsed(() =>
    fromBinary(BundleSchema, bytes, { readUnknownFields: false }),
  )
  if (payloads.length === 0 || payloads.length > MAX_BUNDLE_PAYLOADS)
    throw new ProtocolViolationError('oversize-bundle', `${payloads.length} payloads`)
  return { sequence, timeMs: wholeNumber(timeMs, 'malformed-message'), payloads }
}
