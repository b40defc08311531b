import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
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
  let message: ReturnType<typeof create<typeof BundleSchema>>
  try {
    message = fromBinary(BundleSchema, bytes, { readUnknownFields: false })
  } catch (cause) {
    throw new ProtocolViolationError('malformed-message', 'no bundle', { cause })
  }
  const { sequence, timeMs, payloads } = message
  if (payloads.length === 0 || payloads.length > MAX_BUNDLE_PAYLOADS)
    throw new ProtocolViolationError('oversize-bundle', `${payloads.length} payloads`)
  if (timeMs > BigInt(Number.MAX_SAFE_INTEGER))
    throw new ProtocolViolationError('malformed-message', 'a time beyond all clocks')
  return { sequence, timeMs: Number(timeMs), payloads }
}
