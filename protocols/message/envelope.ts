import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { parsed, wholeNumber } from '../shared/parsed.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_PAYLOAD_BYTES, MAX_TOPIC_BYTES, MAX_TOPIC_CHARACTERS } from './limits.ts'
import { EnvelopeSchema, ReceiptSchema } from './messages_pb.ts'
import type { Envelope, Receipt } from './types.ts'

/** A message on the wire. The caller has checked it with `isTopic` and against MAX_PAYLOAD_BYTES. */
export function encodeEnvelope({ topic, sequence, timeMs, payload }: Envelope): Uint8Array {
  return toBinary(
    EnvelopeSchema,
    create(EnvelopeSchema, { topic, sequence, timeMs: BigInt(timeMs), payload }),
  )
}

/** @throws ProtocolViolationError `malformed-message`, `oversize-message`, `topic` */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  const { topic, sequence, timeMs, payload } = parsed(() => fromBinary(EnvelopeSchema, bytes))
  if (payload.byteLength > MAX_PAYLOAD_BYTES)
    throw new ProtocolViolationError('oversize-message', `${payload.byteLength} bytes`)
  if (!isTopic(topic)) throw new ProtocolViolationError('topic', 'no topic that a message may have')
  return { topic, sequence, timeMs: wholeNumber(timeMs, 'malformed-message'), payload }
}

export function encodeReceipt({ status, sequence }: Receipt): Uint8Array {
  return toBinary(ReceiptSchema, create(ReceiptSchema, { status, sequence }))
}

/** @throws ProtocolViolationError `malformed-message` */
export function decodeReceipt(bytes: Uint8Array): Receipt {
  const { status, sequence } = parsed(() => fromBinary(ReceiptSchema, bytes))
  return { status, sequence }
}

/** Something that people can read and type: one line, no control characters. */
export function isTopic(topic: string): boolean {
  return (
    topic.length > 0 &&
    topic.length <= MAX_TOPIC_CHARACTERS &&
    Buffer.byteLength(topic) <= MAX_TOPIC_BYTES &&
    // A lone half of a surrogate pair would come out as another text.
    topic.isWellFormed() &&
    !/\p{Cc}/u.test(topic)
  )
}
