import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { CID } from 'multiformats/cid'
import { frame } from '../shared/framing.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { decodeCapabilities, encodeCapabilities } from './capabilities-message.ts'
import {
  MAX_CIDS_PER_MESSAGE,
  MAX_HELD_CIDS,
  MAX_PATH_BYTES,
  MAX_PATH_SEGMENTS,
  MAX_PROXY_CIDS,
} from './limits.ts'
import { type ClientMessage, ClientMessageSchema, ServerMessageSchema, type Dag } from './messages_pb.ts'
import { decodeCid } from '../shared/parse-ids.ts'
import { parsed } from '../shared/parsed.ts'
import type { ByteRange, Capabilities, Scope } from './types.ts'

/** Messages as the rest of the code knows them: checked, with CIDs in place of bytes. */

/** Scopes on the wire; the table of SPEC.md. */
export const SCOPES = { block: 0, entity: 1, all: 2 } as const satisfies Record<Scope, number>

export interface CidsWant {
  kind: 'cids'
  id: number
  cids: CID[]
  keepsMarks?: true
  /** A Proxy: what the server does not hold it may fetch from elsewhere, as a part of this DAG. */
  proxyFor?: CID
}

export interface DagWant {
  kind: 'dag'
  id: number
  root: CID
  scope: Scope
  path: string[]
  range: ByteRange | undefined
  depthBudget: number | undefined
  blockBudget: number | undefined
  byteBudget: number | undefined
  held: CID[]
  keepsMarks?: true
}

export type FromClient =
  | CidsWant
  | DagWant
  | { kind: 'credit'; bytes: number }
  | { kind: 'cancel'; id: number }
  | { kind: 'capabilities'; capabilities: Capabilities }
  /** A Want that is well formed and cannot be answered: an unknown scope, or neither CIDs nor a root. */
  | { kind: 'unanswerable'; id: number }

export type FromServer =
  | { kind: 'missing'; want: number; cids: CID[] }
  | { kind: 'mark'; want: number; private: boolean }
  | { kind: 'done'; want: number; reason: number }
  | { kind: 'capabilities'; capabilities: Capabilities }

/** Frames, ready to be sent. */
export const encode = {
  want(want: CidsWant | DagWant): Uint8Array {
    const { id, keepsMarks = false } = want
    const asked =
      want.kind === 'cids' ? { cids: want.cids.map(({ bytes }) => bytes) } : { dag: encodeDag(want) }
    if (want.kind === 'cids' && want.proxyFor !== undefined) {
      const value = { id, cids: want.cids.map(({ bytes }) => bytes), root: want.proxyFor.bytes }
      return fromClient({ case: 'proxy', value })
    }
    const value = { id, ...asked, keepsMarks }
    return fromClient({ case: 'want', value })
  },
  credit: (bytes: number): Uint8Array => fromClient({ case: 'credit', value: { bytes } }),
  cancel: (id: number): Uint8Array => fromClient({ case: 'cancel', value: { id } }),
  tellCapabilities: (own: Capabilities): Uint8Array =>
    fromClient({ case: 'capabilities', value: encodeCapabilities(own) }),
  missing: (want: number, cids: CID[]): Uint8Array =>
    fromServer({ case: 'missing', value: { want, cids: cids.map((cid) => cid.bytes) } }),
  mark: (want: number, isPrivate: boolean): Uint8Array =>
    fromServer({ case: 'mark', value: { want, private: isPrivate } }),
  done: (want: number, reason: number): Uint8Array => fromServer({ case: 'done', value: { want, reason } }),
  answerCapabilities: (own: Capabilities): Uint8Array =>
    fromServer({ case: 'capabilities', value: encodeCapabilities(own) }),
}

type ClientBody = NonNullable<Parameters<typeof create<typeof ClientMessageSchema>>[1]>['body']
type ServerBody = NonNullable<Parameters<typeof create<typeof ServerMessageSchema>>[1]>['body']

function fromClient(body: ClientBody): Uint8Array {
  return frame(toBinary(ClientMessageSchema, create(ClientMessageSchema, { body: body! })))
}

function fromServer(body: ServerBody): Uint8Array {
  return frame(toBinary(ServerMessageSchema, create(ServerMessageSchema, { body: body! })))
}

function encodeDag(want: DagWant): Record<string, unknown> {
  const { range } = want
  return {
    root: want.root.bytes,
    scope: SCOPES[want.scope],
    path: want.path,
    held: want.held.map((cid) => cid.bytes),
    ...(range === undefined
      ? {}
      : {
          range: {
            from: BigInt(range.from),
            ...(range.to === undefined ? {} : { to: BigInt(range.to) }),
          },
        }),
    ...(want.depthBudget === undefined ? {} : { depthBudget: want.depthBudget }),
    ...(want.blockBudget === undefined ? {} : { blockBudget: want.blockBudget }),
    ...(want.byteBudget === undefined ? {} : { byteBudget: want.byteBudget }),
  }
}

/** @throws ProtocolViolationError */
export function decodeFromClient(bytes: Uint8Array): FromClient {
  const { body } = parsed(() => fromBinary(ClientMessageSchema, bytes, { readUnknownFields: false }))
  switch (body.case) {
    case 'want':
      return decodeWant(body.value)
    case 'proxy':
      return decodeProxy(body.value)
    case 'credit':
      return { kind: 'credit', bytes: body.value.bytes }
    case 'cancel':
      return { kind: 'cancel', id: body.value.id }
    case 'capabilities':
      return { kind: 'capabilities', capabilities: decodeCapabilities(body.value) }
    default:
      throw new ProtocolViolationError('unknown-message', 'a message of a kind this version does not have')
  }
}

/** @throws ProtocolViolationError; blocks are read as data frames and are none of its business */
export function decodeFromServer(bytes: Uint8Array): FromServer {
  const { body } = parsed(() => fromBinary(ServerMessageSchema, bytes, { readUnknownFields: false }))
  switch (body.case) {
    case 'missing':
      return {
        kind: 'missing',
        want: body.value.want,
        cids: decodeCids(body.value.cids, MAX_CIDS_PER_MESSAGE),
      }
    case 'mark':
      return { kind: 'mark', want: body.value.want, private: body.value.private }
    case 'done':
      return { kind: 'done', want: body.value.want, reason: body.value.reason }
    case 'capabilities':
      return { kind: 'capabilities', capabilities: decodeCapabilities(body.value) }
    default:
      throw new ProtocolViolationError('unknown-message', 'a message of a kind this version does not have')
  }
}

type ProxyMessage = Extract<ClientMessage['body'], { case: 'proxy' }>['value']
type WantMessage = Extract<ClientMessage['body'], { case: 'want' }>['value']

function decodeWant(want: WantMessage): FromClient {
  const { id, dag } = want
  const hasCids = want.cids.length > 0
  if (hasCids === (dag !== undefined)) return { kind: 'unanswerable', id }
  const marks = want.keepsMarks ? { keepsMarks: true as const } : {}
  if (dag === undefined)
    return { kind: 'cids', id, cids: decodeCids(want.cids, MAX_CIDS_PER_MESSAGE), ...marks }
  const decoded = decodeDag(id, dag)
  return decoded.kind === 'dag' ? { ...decoded, ...marks } : decoded
}

function decodeProxy({ id, cids, root }: ProxyMessage): FromClient {
  if (cids.length === 0) return { kind: 'unanswerable', id }
  return { kind: 'cids', id, cids: decodeCids(cids, MAX_PROXY_CIDS), proxyFor: decodeCid(root) }
}

function decodeDag(id: number, dag: Dag): FromClient {
  const scope = (Object.keys(SCOPES) as Scope[]).find((name) => SCOPES[name] === dag.scope)
  if (scope === undefined) return { kind: 'unanswerable', id }
  const pathBytes = dag.path.reduce((sum, segment) => sum + segment.length, 0)
  if (dag.path.length > MAX_PATH_SEGMENTS || pathBytes > MAX_PATH_BYTES) {
    throw new ProtocolViolationError('oversize-path', 'a path longer than the protocol allows')
  }
  return {
    kind: 'dag',
    id,
    root: decodeCid(dag.root),
    scope,
    path: dag.path,
    range: dag.range === undefined ? undefined : decodeRange(dag.range),
    depthBudget: dag.depthBudget,
    blockBudget: dag.blockBudget,
    byteBudget: dag.byteBudget,
    held: decodeCids(dag.held, MAX_HELD_CIDS),
  }
}

function decodeRange(range: NonNullable<Dag['range']>): ByteRange {
  const from = toSafeNumber(range.from)
  return range.to === undefined ? { from } : { from, to: toSafeNumber(range.to) }
}

/** Offsets beyond 2^53 are in no file: the largest number that can be counted means the same. */
function toSafeNumber(value: bigint): number {
  const limit = BigInt(Number.MAX_SAFE_INTEGER)
  if (value > limit) return Number.MAX_SAFE_INTEGER
  return value < -limit ? Number.MIN_SAFE_INTEGER : Number(value)
}

function decodeCids(list: Uint8Array[], most: number): CID[] {
  if (list.length > most)
    throw new ProtocolViolationError('oversize-list', 'more CIDs than a message may have')
  return list.map(decodeCid)
}
