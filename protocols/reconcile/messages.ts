import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { Status } from '../shared/status.ts'
import { parsed } from '../shared/parsed.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import {
  ID_BYTES,
  KEY_BYTES,
  MAX_BATCH_ENTRIES,
  MAX_CUT_PARTS,
  MAX_LISTED_ENTRIES,
  MAX_OFFERED,
  MAX_PARTS,
  TAG_BYTES,
} from './limits.ts'
import {
  type Answer as AnswerMessage,
  AnswerSchema,
  type Cut as CutMessage,
  type CutSchema,
  type Difference as DifferenceMessage,
  type DifferenceSchema,
  type Request as RequestMessage,
  RequestSchema,
} from './messages_pb.ts'
import { type Cut, packTags, partsOf, type Span, unpackTags } from './view.ts'

/** Messages as the rest of the code knows them: within the bounds, and consistent in themselves. */
export interface Request {
  open?: { set: string; key: Uint8Array }
  body: RequestBody
}

export type RequestBody =
  | { kind: 'compare'; cuts: readonly Cut[] }
  | { kind: 'fetch'; ranks: readonly number[] }
  | { kind: 'offer'; tags: readonly bigint[] }
  | { kind: 'give'; entries: readonly Uint8Array[] }

/** What a part of a range holds at the answerer's, where it is not the same. */
export type Difference = { part: number } & (
  | { kind: 'tags'; firstRank: number; tags: readonly bigint[] }
  | { kind: 'cut'; bounds: readonly Uint8Array[]; fingerprints: readonly bigint[] }
)

export type AnswerBody =
  | { kind: 'compared'; parts: number; differences: readonly Difference[] }
  | { kind: 'entries'; entries: readonly Uint8Array[] }
  | { kind: 'wanted'; offers: readonly number[] }
  | { kind: 'taken'; verdicts: readonly number[] }

export interface Answer {
  status: number
  /** Only where the status is `ok`. */
  body?: AnswerBody
}

/** Values of Taken.verdicts. */
export const TAKEN = { taken: 0, known: 1, refused: 2 } as const

type CutFields = Pick<CutMessage, 'start' | 'end' | 'bounds' | 'fingerprints'>
type Init<Schema extends DescMessage> = MessageInitShape<Schema>

export function encodeRequest({ open, body }: Request): Uint8Array {
  const message = { ...(open === undefined ? {} : { open }), body: packRequest(body) }
  return toBinary(RequestSchema, create(RequestSchema, message))
}

function packRequest(body: RequestBody): NonNullable<Init<typeof RequestSchema>['body']> {
  switch (body.kind) {
    case 'compare':
      return { case: 'compare', value: { cuts: body.cuts.map(packCut) } }
    case 'fetch':
      return { case: 'fetch', value: { ranks: [...body.ranks] } }
    case 'offer':
      return { case: 'offer', value: { tags: packTags(body.tags) } }
    case 'give':
      return { case: 'give', value: { entries: [...body.entries] } }
  }
}

/** @throws ProtocolViolationError */
export function decodeRequest(bytes: Uint8Array): Request {
  const message = parsed(() => fromBinary(RequestSchema, bytes, { readUnknownFields: false }))
  const { open } = message
  if (open !== undefined && open.key.byteLength !== KEY_BYTES) throw malformed('a key of another length')
  return {
    ...(open === undefined ? {} : { open: { set: open.set, key: open.key } }),
    body: readRequest(message),
  }
}

function readRequest({ body }: RequestMessage): RequestBody {
  switch (body.case) {
    case 'compare': {
      const cuts = body.value.cuts.map(readCut)
      const parts = cuts.reduce((sum, { bounds }) => sum + bounds.length + 1, 0)
      if (parts === 0 || parts > MAX_PARTS) throw oversize('parts')
      return { kind: 'compare', cuts }
    }
    case 'fetch': {
      const { ranks } = body.value
      if (ranks.length === 0 || ranks.length > MAX_BATCH_ENTRIES) throw oversize('ranks')
      assertAscending(ranks)
      return { kind: 'fetch', ranks }
    }
    case 'offer':
      return { kind: 'offer', tags: readTags(body.value.tags, 1, MAX_OFFERED) }
    case 'give': {
      const { entries } = body.value
      if (entries.length === 0 || entries.length > MAX_BATCH_ENTRIES) throw oversize('entries')
      if (entries.some(({ byteLength }) => byteLength === 0)) throw malformed('an entry of no bytes')
      return { kind: 'give', entries }
    }
    default:
      throw malformed('a request that asks nothing')
  }
}

export function encodeAnswer({ status, body }: Answer): Uint8Array {
  const message = { status, ...(body === undefined ? {} : { body: packAnswer(body) }) }
  return toBinary(AnswerSchema, create(AnswerSchema, message))
}

function packAnswer(body: AnswerBody): NonNullable<Init<typeof AnswerSchema>['body']> {
  switch (body.kind) {
    case 'compared': {
      const differences = body.differences.map(packDifference)
      return { case: 'compared', value: { parts: body.parts, differences } }
    }
    case 'entries':
      return { case: 'entries', value: { entries: [...body.entries] } }
    case 'wanted':
      return { case: 'wanted', value: { offers: [...body.offers] } }
    case 'taken':
      return { case: 'taken', value: { verdicts: [...body.verdicts] } }
  }
}

/** @throws ProtocolViolationError, also where the body is none that answers a request of this kind */
export function decodeAnswer(bytes: Uint8Array, asked: RequestBody): Answer {
  const message = parsed(() => fromBinary(AnswerSchema, bytes, { readUnknownFields: false }))
  if (message.status !== Status.ok) return { status: message.status }
  return { status: Status.ok, body: readAnswer(message, asked) }
}

function readAnswer({ body }: AnswerMessage, asked: RequestBody): AnswerBody {
  if (asked.kind === 'compare' && body.case === 'compared') {
    const spans = asked.cuts.flatMap(partsOf)
    const { parts } = body.value
    if (parts === 0 || parts > spans.length) throw malformed('an answer about other parts')
    const differences = body.value.differences.map(readDifference(spans))
    assertAscending(differences.map(({ part }) => part))
    if ((differences.at(-1)?.part ?? 0) >= parts) throw malformed('an answer about other parts')
    return { kind: 'compared', parts, differences }
  }
  if (asked.kind === 'fetch' && body.case === 'entries') {
    const { entries } = body.value
    if (entries.length === 0 || entries.length > asked.ranks.length) throw malformed('other entries')
    return { kind: 'entries', entries }
  }
  if (asked.kind === 'offer' && body.case === 'wanted') {
    const { offers } = body.value
    assertAscending(offers)
    if ((offers.at(-1) ?? 0) >= asked.tags.length) throw malformed('what was not offered')
    return { kind: 'wanted', offers }
  }
  if (asked.kind === 'give' && body.case === 'taken') {
    const { verdicts } = body.value
    if (verdicts.length !== asked.entries.length) throw malformed('verdicts of other entries')
    return { kind: 'taken', verdicts }
  }
  throw new ProtocolViolationError('unrequested-answer', 'an answer to another question')
}

function packDifference(difference: Difference): Init<typeof DifferenceSchema> {
  const { part } = difference
  if (difference.kind === 'cut') return { part, body: { case: 'cut', value: packCut(difference) } }
  const { firstRank, tags } = difference
  return { part, body: { case: 'tags', value: { firstRank, tags: packTags(tags) } } }
}

function readDifference(spans: readonly Span[]): (message: DifferenceMessage) => Difference {
  return ({ part, body }) => {
    const span = spans[part]
    if (span === undefined) throw malformed('an answer about other parts')
    if (body.case === 'tags') {
      const { firstRank, tags } = body.value
      return { part, kind: 'tags', firstRank, tags: readTags(tags, 0, MAX_LISTED_ENTRIES) }
    }
    if (body.case !== 'cut') throw malformed('a difference that says nothing')
    const { bounds, fingerprints } = readCut({ ...body.value, ...span })
    // One part would be the same question again.
    if (bounds.length === 0 || bounds.length >= MAX_CUT_PARTS || fingerprints.length === 0)
      throw malformed('a part that is not cut')
    return { part, kind: 'cut', bounds, fingerprints }
  }
}

function packCut(cut: Partial<Span> & Pick<Cut, 'bounds' | 'fingerprints'>): Init<typeof CutSchema> {
  const { start, end, bounds, fingerprints } = cut
  return {
    ...(start === undefined ? {} : { start }),
    ...(end === undefined ? {} : { end }),
    bounds: [...bounds],
    fingerprints: packTags(fingerprints),
  }
}

function readCut({ start, end, bounds, fingerprints }: CutFields): Cut {
  if (bounds.length >= MAX_PARTS) throw oversize('parts')
  let last = start
  for (const bound of end.byteLength === 0 ? bounds : [...bounds, end]) {
    if (Buffer.compare(last, bound) >= 0) throw malformed('bounds that do not ascend')
    last = bound
  }
  if ([start, ...bounds, end].some(({ byteLength }) => byteLength > ID_BYTES)) throw oversize('bound')
  const isListed = fingerprints.byteLength === 0
  if (isListed && bounds.length > 0) throw malformed('a list of several parts')
  const sums = isListed ? [] : readTags(fingerprints, bounds.length + 1, bounds.length + 1)
  return { start, end, bounds, fingerprints: sums }
}

function readTags(bytes: Uint8Array, least: number, most: number): bigint[] {
  const count = bytes.byteLength / TAG_BYTES
  if (count > most) throw oversize('tags')
  if (!Number.isInteger(count) || count < least) throw malformed('tags that are cut off')
  return unpackTags(bytes)
}

function assertAscending(numbers: readonly number[]): void {
  for (let at = 1; at < numbers.length; at++)
    if (numbers[at - 1]! >= numbers[at]!) throw malformed('numbers that do not ascend')
}

function malformed(what: string): ProtocolViolationError {
  return new ProtocolViolationError('malformed-message', what)
}

function oversize(what: string): ProtocolViolationError {
  return new ProtocolViolationError(`oversize-${what}`, `more than a message may have, or nothing: ${what}`)
}
