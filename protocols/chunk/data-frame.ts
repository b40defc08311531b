import { MAX_FRAME_DATA_BYTES, MAX_FRAME_HEADER_BYTES } from '../shared/limits.ts'
import { readVarint, varintLength, writeVarint } from '../shared/varint.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_INDEX_BYTES, MAX_PIECE_BYTES, MIN_PART_BYTES } from './limits.ts'

/**
 * Frames that carry a part of a piece, or an index. They are ordinary protobuf (`ClientMessage` and `ServerMessage` number
 * them alike), read and written by hand for one reason: so that the data is neither copied into a message nor out of one.
 */
export interface PieceHeader {
  kind: 'piece'
  segment: number
  /** Where in the piece this part belongs, and how long the piece is. */
  offset: number
  totalBytes: number
}

export interface IndexHeader {
  kind: 'index'
  /** Of the request that it answers; 0 in a store. */
  id: number
}

export type DataHeader = (PieceHeader | IndexHeader) & { headerBytes: number; dataBytes: number }

// Protobuf tags: field number · 8 + wire type (0 varint, 2 length-delimited).
const TAG_PIECE = (1 << 3) | 2
const TAG_INDEX = (2 << 3) | 2
const TAG_DATA = (15 << 3) | 2
/** The numbers before the data: segment, offset, total of a piece; id of an index. */
const PIECE_NUMBERS = 3
const INDEX_NUMBERS = 1

/** The bytes of a frame up to its data, length prefix included. Zeros are left out, as protobuf does. */
export function encodePieceHeader(header: Omit<PieceHeader, 'kind'>, dataBytes: number): Uint8Array {
  return encodeHeader(TAG_PIECE, [header.segment, header.offset, header.totalBytes], dataBytes)
}

export function encodeIndexHeader(id: number, dataBytes: number): Uint8Array {
  return encodeHeader(TAG_INDEX, [id], dataBytes)
}

/** True where a frame's first byte says that it carries data. */
export function isDataFrame(head: Uint8Array): boolean {
  return head[0] === TAG_PIECE || head[0] === TAG_INDEX
}

/**
 * Reads the header of a frame without its length prefix. `head` holds the whole frame, or its first
 * MAX_FRAME_HEADER_BYTES.
 *
 * @throws ProtocolViolationError for anything but the fields in their order and sizes that agree
 */
export function parseDataHeader(head: Uint8Array, frameBytes: number): DataHeader {
  const isPiece = head[0] === TAG_PIECE
  const numbers = [0, 0, 0]
  const most = isPiece ? PIECE_NUMBERS : INDEX_NUMBERS
  const body = number(head, 1)
  if (body.next + body.value !== frameBytes) throw malformed('lengths that disagree')
  let at = body.next
  let field = 0
  while (at < frameBytes) {
    const tag = head[at]
    if (tag === undefined) throw malformed('a header that is too long')
    const { value, next } = number(head, at + 1)
    if (tag === TAG_DATA)
      return checked(isPiece, numbers, { headerBytes: next, dataBytes: value }, frameBytes)
    const fieldHere = tag >> 3
    if ((tag & 7) !== 0 || fieldHere > most) throw malformed('an unknown field')
    if (fieldHere <= field) throw malformed('fields out of order')
    field = fieldHere
    numbers[field - 1] = value
    at = next
  }
  throw malformed('no data')
}

function checked(
  isPiece: boolean,
  [first, second, third]: number[],
  sizes: { headerBytes: number; dataBytes: number },
  frameBytes: number,
): DataHeader {
  const { headerBytes, dataBytes } = sizes
  if (headerBytes + dataBytes !== frameBytes || headerBytes > MAX_FRAME_HEADER_BYTES) {
    throw malformed('lengths that disagree')
  }
  if (dataBytes === 0) throw malformed('no data')
  if (!isPiece) {
    if (dataBytes > MAX_INDEX_BYTES) throw oversize()
    return { kind: 'index', id: first!, ...sizes }
  }
  const header = { kind: 'piece', segment: first!, offset: second!, totalBytes: third!, ...sizes } as const
  if (dataBytes > MAX_FRAME_DATA_BYTES || header.totalBytes > MAX_PIECE_BYTES) throw oversize()
  const endBytes = header.offset + dataBytes
  if (endBytes > header.totalBytes) throw malformed('data behind the end of its piece')
  if (dataBytes < MIN_PART_BYTES && endBytes < header.totalBytes) throw malformed('a tiny part of a piece')
  return header
}

function encodeHeader(tag: number, numbers: number[], dataBytes: number): Uint8Array {
  let bodyBytes = 1 + varintLength(dataBytes) + dataBytes
  for (const value of numbers) bodyBytes += value === 0 ? 0 : 1 + varintLength(value)
  const frameBytes = 1 + varintLength(bodyBytes) + bodyBytes
  const target = new Uint8Array(varintLength(frameBytes) + frameBytes - dataBytes)
  let at = writeVarint(target, 0, frameBytes)
  target[at++] = tag
  at = writeVarint(target, at, bodyBytes)
  for (const [index, value] of numbers.entries()) {
    if (value === 0) continue
    target[at++] = (index + 1) << 3
    at = writeVarint(target, at, value)
  }
  target[at++] = TAG_DATA
  writeVarint(target, at, dataBytes)
  return target
}

function number(head: Uint8Array, at: number): { value: number; next: number } {
  const read = readVarint(head, at)
  if (read === undefined) throw malformed('a number that is cut off or too large')
  return read
}

function malformed(what: string): ProtocolViolationError {
  return new ProtocolViolationError('malformed-frame', `a data frame with ${what}`)
}

function oversize(): ProtocolViolationError {
  return new ProtocolViolationError('oversize-piece', 'more data than a frame, a piece or an index may have')
}
