import { MAX_CID_BYTES, MAX_FRAME_DATA_BYTES, MAX_FRAME_HEADER_BYTES } from '../shared/limits.ts'
import { readVarint, varintLength, writeVarint } from '../shared/varint.ts'
import { ProtocolViolationError } from '../shared/violation.ts'
import { MAX_BLOCK_BYTES } from './limits.ts'

/**
 * Frames that carry a part of a block. They are ordinary protobuf (`ServerMessage { Block }`), read and written by hand
 * for one reason: so that the data is neither copied into a message nor out of one.
 */

/** What comes before the data. A block is named by its position in the Want's list, or by its CID. */
export interface BlockHeader {
  want: number
  index: number | undefined
  cid: Uint8Array | undefined
  /** Where in the block this part belongs, and how long the block is. */
  offset: number
  totalBytes: number
}

export interface ParsedBlockHeader extends BlockHeader {
  headerBytes: number
  dataBytes: number
}

// Protobuf tags: field number · 8 + wire type (0 varint, 2 length-delimited).
const TAG_BLOCK = (1 << 3) | 2
const TAG_WANT = 1 << 3
const TAG_INDEX = 2 << 3
const TAG_CID = (3 << 3) | 2
const TAG_OFFSET = 4 << 3
const TAG_TOTAL = 5 << 3
const TAG_DATA = (15 << 3) | 2

/** The bytes of a frame up to its data, length prefix included. Zeros are left out, as protobuf does. */
export function encodeBlockHeader(header: BlockHeader, dataBytes: number): Uint8Array {
  const { want, index, cid, offset, totalBytes } = header
  const bodyBytes =
    field(want) +
    (index === undefined ? 0 : 1 + varintLength(index)) +
    (cid === undefined ? 0 : 1 + varintLength(cid.length) + cid.length) +
    field(offset) +
    field(totalBytes) +
    (dataBytes === 0 ? 0 : 1 + varintLength(dataBytes))
  const blockBytes = bodyBytes + dataBytes
  const frameBytes = 1 + varintLength(blockBytes) + blockBytes
  const target = new Uint8Array(varintLength(frameBytes) + frameBytes - dataBytes)
  let at = writeVarint(target, 0, frameBytes)
  target[at++] = TAG_BLOCK
  at = writeVarint(target, at, blockBytes)
  at = writeField(target, at, TAG_WANT, want)
  if (index !== undefined) {
    target[at++] = TAG_INDEX
    at = writeVarint(target, at, index)
  }
  if (cid !== undefined) {
    target[at++] = TAG_CID
    at = writeVarint(target, at, cid.length)
    target.set(cid, at)
    at += cid.length
  }
  at = writeField(target, at, TAG_OFFSET, offset)
  at = writeField(target, at, TAG_TOTAL, totalBytes)
  if (dataBytes > 0) writeField(target, at, TAG_DATA, dataBytes)
  return target
}

/** True where a frame's first byte says that it carries a part of a block. */
export function isBlockFrame(head: Uint8Array): boolean {
  return head[0] === TAG_BLOCK
}

/**
 * Reads the header of a frame without its length prefix. `head` holds the whole frame, or its first
 * MAX_FRAME_HEADER_BYTES.
 *
 * @throws ProtocolViolationError for anything but the fields in their order and sizes that agree
 */
export function parseBlockHeader(head: Uint8Array, frameBytes: number): ParsedBlockHeader {
  const header: ParsedBlockHeader = {
    want: 0,
    index: undefined,
    cid: undefined,
    offset: 0,
    totalBytes: 0,
    headerBytes: frameBytes,
    dataBytes: 0,
  }
  const block = number(head, 1)
  if (block.next + block.value !== frameBytes) throw malformed('lengths that disagree')
  let at = block.next
  let lastTag = 0
  while (at < frameBytes) {
    const tag = head[at]
    if (tag === undefined) throw malformed('a header that is too long')
    if (tag <= lastTag) throw malformed('fields out of order')
    lastTag = tag
    const { value, next } = number(head, at + 1)
    at = next
    if (tag === TAG_WANT) header.want = value
    else if (tag === TAG_INDEX) header.index = value
    else if (tag === TAG_OFFSET) header.offset = value
    else if (tag === TAG_TOTAL) header.totalBytes = value
    else if (tag === TAG_CID) {
      if (value > MAX_CID_BYTES || at + value > head.length) throw malformed('a CID that is too long')
      header.cid = head.slice(at, at + value)
      at += value
    } else if (tag === TAG_DATA) {
      header.headerBytes = at
      header.dataBytes = value
      at += value
    } else throw malformed('an unknown field')
  }
  check(header, at === frameBytes)
  return header
}

function check(header: ParsedBlockHeader, isWhole: boolean): void {
  const { index, cid, offset, totalBytes, headerBytes, dataBytes } = header
  if (!isWhole || headerBytes > MAX_FRAME_HEADER_BYTES) throw malformed('lengths that disagree')
  if ((index === undefined) === (cid === undefined)) throw malformed('not exactly one name for the block')
  if (dataBytes > MAX_FRAME_DATA_BYTES || totalBytes > MAX_BLOCK_BYTES) {
    throw new ProtocolViolationError('oversize-block', 'more data than a frame, or a block, may have')
  }
  if (offset + dataBytes > totalBytes) throw malformed('data behind the end of its block')
  if (dataBytes === 0 && totalBytes > 0) throw malformed('a part of a block without data')
}

function field(value: number): number {
  return value === 0 ? 0 : 1 + varintLength(value)
}

function writeField(target: Uint8Array, at: number, tag: number, value: number): number {
  if (value === 0) return at
  target[at] = tag
  return writeVarint(target, at + 1, value)
}

function number(head: Uint8Array, at: number): { value: number; next: number } {
  const read = readVarint(head, at)
  if (read === undefined) throw malformed('a number that is cut off or too large')
  return read
}

function malformed(what: string): ProtocolViolationError {
  return new ProtocolViolationError('malformed-frame', `a data frame with ${what}`)
}
