import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { CID } from 'multiformats/cid'
import { ProtocolViolationError } from '../shared/violation.ts'
import { RequestSchema, ResponseSchema } from './messages_pb.ts'
import { decodeCid } from '../shared/parse-ids.ts'
import { parsed, wholeNumber } from '../shared/parsed.ts'
import { type KeptState, type SignedBytes, STATES } from './types.ts'

/** Messages as the rest of the code knows them. Statements in them are not yet verified. */
export type KeepRequest =
  | { kind: 'ask'; signed: SignedBytes }
  | { kind: 'release'; signed: SignedBytes }
  | { kind: 'probe'; cid: CID }

export interface KeepResponse {
  status: number
  promise?: SignedBytes
  state: KeptState
  untilMs: number
}

export function encodeRequest(request: KeepRequest): Uint8Array {
  const body =
    request.kind === 'probe'
      ? { case: 'probe' as const, value: { cid: request.cid.bytes } }
      : { case: request.kind, value: request.signed }
  return toBinary(RequestSchema, create(RequestSchema, { body }))
}

/** @throws ProtocolViolationError */
export function decodeRequest(bytes: Uint8Array): KeepRequest {
  const { body } = parsed(() => fromBinary(RequestSchema, bytes, { readUnknownFields: false }))
  switch (body.case) {
    case 'ask':
    case 'release':
      return { kind: body.case, signed: body.value }
    case 'probe':
      return { kind: 'probe', cid: decodeCid(body.value.cid) }
    default:
      throw new ProtocolViolationError('empty-request', 'a request that asks nothing')
  }
}

export function encodeResponse(response: Partial<KeepResponse> & { status: number }): Uint8Array {
  const { status, promise, state = 'none', untilMs = 0 } = response
  const message = create(ResponseSchema, {
    status,
    state: STATES[state],
    untilMs: BigInt(untilMs),
    ...(promise === undefined ? {} : { promise }),
  })
  return toBinary(ResponseSchema, message)
}

/** @throws ProtocolViolationError */
export function decodeResponse(bytes: Uint8Array): KeepResponse {
  const message = parsed(() => fromBinary(ResponseSchema, bytes, { readUnknownFields: false }))
  const states = Object.entries(STATES) as [KeptState, number][]
  return {
    status: message.status,
    state: states.find(([, value]) => value === message.state)?.[0] ?? 'none',
    untilMs: wholeNumber(message.untilMs),
    ...(message.promise === undefined ? {} : { promise: message.promise }),
  }
}
