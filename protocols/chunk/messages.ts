import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { frame } from '../shared/framing.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { type AnswerBody, answerBody, decodeAnswer } from './answers.ts'
import { parsed } from '../shared/parsed.ts'
import { bounded, columnField, hashField, malformed, segmentField, signedField } from './fields.ts'
import { MAX_SEGMENTS } from './format/limits.ts'
import { ClientMessageSchema, type Fetch, ServerMessageSchema, type Store } from './messages_pb.ts'
import { type ControlRequest, decodeRequest, requestBody } from './requests.ts'
import type { SignedBytes, SlabId, StoreOpen, StorePurpose } from './types.ts'

/** Messages as the rest of the code knows them: checked, with bounds kept. */

/** Purposes on the wire; the table of SPEC.md. */
const PURPOSES: readonly StorePurpose[] = ['put', 'repair', 'handover']

export interface FetchMessage {
  kind: 'fetch'
  slab: SlabId
  column: number
  segments: number[]
  creditBytes: number
}

export type FromClient =
  /** `request` is undefined for one of a kind that this version does not have. */
  | { kind: 'request'; id: number; request: ControlRequest | undefined }
  /** `open` is undefined for one with a purpose that this version does not have. */
  | { kind: 'store'; open: StoreOpen | undefined }
  | FetchMessage
  | { kind: 'credit'; bytes: number }

export type FromServer =
  | { kind: 'answer'; id: number; status: number; body: AnswerBody | undefined }
  | { kind: 'accepted'; creditBytes: number }
  | { kind: 'store-done'; status: number; receipt: SignedBytes | undefined }
  | { kind: 'fetch-done'; status: number }
  | { kind: 'credit'; bytes: number }

/** Frames, ready to be sent. */
export const encode = {
  request: (id: number, request: ControlRequest): Uint8Array =>
    fromClient({ case: 'request', value: { id, body: requestBody(request) } }),
  store: ({ purpose, ...open }: StoreOpen): Uint8Array =>
    fromClient({ case: 'store', value: { ...open, purpose: PURPOSES.indexOf(purpose) } }),
  fetch: ({ slab, column, segments, creditBytes }: Omit<FetchMessage, 'kind'>): Uint8Array =>
    fromClient({ case: 'fetch', value: { slab, column, segments, credit: creditBytes } }),
  clientCredit: (bytes: number): Uint8Array => fromClient({ case: 'credit', value: { bytes } }),
  answer: (id: number, status: number, body?: AnswerBody): Uint8Array =>
    fromServer({
      case: 'answer',
      value: { id, status, ...(body === undefined ? {} : { body: answerBody(body) }) },
    }),
  accepted: (creditBytes: number): Uint8Array =>
    fromServer({ case: 'storeAccepted', value: { credit: creditBytes } }),
  storeDone: (status: number, receipt?: SignedBytes): Uint8Array =>
    fromServer({ case: 'storeDone', value: { status, ...(receipt === undefined ? {} : { receipt }) } }),
  fetchDone: (status: number): Uint8Array => fromServer({ case: 'fetchDone', value: { status } }),
  serverCredit: (bytes: number): Uint8Array => fromServer({ case: 'credit', value: { bytes } }),
}

function fromClient(body: MessageInitShape<typeof ClientMessageSchema>['body'] & object): Uint8Array {
  return frame(toBinary(ClientMessageSchema, create(ClientMessageSchema, { body })))
}

function fromServer(body: MessageInitShape<typeof ServerMessageSchema>['body'] & object): Uint8Array {
  return frame(toBinary(ServerMessageSchema, create(ServerMessageSchema, { body })))
}

/** @throws ProtocolViolationError; data frames are none of its business */
export function decodeFromClient(bytes: Uint8Array): FromClient {
  const { body } = parsed(() => fromBinary(ClientMessageSchema, bytes, { readUnknownFields: false }))
  switch (body.case) {
    case 'request':
      return { kind: 'request', id: body.value.id, request: decodeRequest(body.value) }
    case 'store':
      return { kind: 'store', open: decodeStore(body.value) }
    case 'fetch':
      return decodeFetch(body.value)
    case 'credit':
      return { kind: 'credit', bytes: body.value.bytes }
    default:
      throw new ProtocolViolationError('unknown-message', 'a message of a kind this version does not have')
  }
}

/** @throws ProtocolViolationError; data frames are none of its business */
export function decodeFromServer(bytes: Uint8Array): FromServer {
  const { body } = parsed(() => fromBinary(ServerMessageSchema, bytes, { readUnknownFields: false }))
  switch (body.case) {
    case 'answer': {
      const { id, status } = body.value
      return { kind: 'answer', id, status, body: decodeAnswer(body.value) }
    }
    case 'storeAccepted':
      return { kind: 'accepted', creditBytes: body.value.credit }
    case 'storeDone': {
      const { status, receipt } = body.value
      return {
        kind: 'store-done',
        status,
        receipt: receipt === undefined ? undefined : signedField(receipt),
      }
    }
    case 'credit':
      return { kind: 'credit', bytes: body.value.bytes }
    case 'fetchDone':
      return { kind: 'fetch-done', status: body.value.status }
    default:
      throw new ProtocolViolationError('unknown-message', 'a message of a kind this version does not have')
  }
}

function decodeStore(store: Store): StoreOpen | undefined {
  const { k, n, maxColumnBytes } = store
  const purpose = PURPOSES[store.purpose]
  if (purpose === undefined) return undefined
  return {
    publicKey: hashField(store.publicKey),
    group: hashField(store.group),
    column: columnField(store.column),
    k,
    n,
    maxColumnBytes,
    lease: signedField(store.lease),
    purpose,
  }
}

function decodeFetch({ slab, column, segments, credit }: Fetch): FetchMessage {
  bounded(segments, MAX_SEGMENTS)
  for (const [index, segment] of segments.entries()) {
    segmentField(segment)
    if (index > 0 && segment <= segments[index - 1]!) throw malformed('segments that do not ascend')
  }
  if (segments.length === 0) throw malformed('no segments')
  return { kind: 'fetch', slab: hashField(slab), column: columnField(column), segments, creditBytes: credit }
}
