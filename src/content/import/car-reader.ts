import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { carInvalid } from '../errors.ts'
import type { Block } from '../unixfs/node.ts'
import { ownCopy } from '../unixfs/chunker.ts'
import type { PullReader } from '../../tar/pull-reader.ts'

/** Some thousand roots; more would be a way to make us hold memory. */
const MAX_HEADER_BYTES = 1024 * 1024
/** A block of 2 MiB and its CID. */
const MAX_SECTION_BYTES = 2 * 1024 * 1024 + 256
/** Enough for lengths up to 2^35, far above both limits. */
const MAX_VARINT_BYTES = 5

/** After the 11 bytes of the pragma: characteristics (16), then three 64-bit numbers. */
const V2_HEADER_BYTES = 40

export interface CarHeader {
  roots: CID[]
  /** Where the blocks end, in a CAR of version 2; null: at the end of the stream. */
  endOffset: number | null
}

/**
 * Reads the header of a CAR of version 1 or 2 (https://ipld.io/specs/transport/car/). The library for CARs reads whole
 * streams and cannot go on at an offset, which a resumed import has to.
 *
 * @throws ERR_CAR_INVALID
 */
export async function readCarHeader(reader: PullReader): Promise<CarHeader> {
  const start = reader.offset
  const first = await readHeaderValue(reader)
  if (first.version === 1) return { roots: rootsOf(first, start), endOffset: null }
  if (first.version !== 2) throw carInvalid(start, `unknown version ${String(first.version)}`)

  const header = Buffer.from(await reader.upTo(V2_HEADER_BYTES))
  if (header.length < V2_HEADER_BYTES) throw carInvalid(reader.offset, 'it ends in its header')
  const dataOffset = start + Number(header.readBigUInt64LE(16))
  const endOffset = dataOffset + Number(header.readBigUInt64LE(24))
  if (!Number.isSafeInteger(endOffset) || dataOffset < reader.offset) {
    throw carInvalid(reader.offset, 'its header names impossible positions')
  }
  if (!(await reader.skip(dataOffset - reader.offset)))
    throw carInvalid(reader.offset, 'it ends before its data')
  const inner = await readHeaderValue(reader)
  if (inner.version !== 1) throw carInvalid(dataOffset, 'its data is not a CAR of version 1')
  return { roots: rootsOf(inner, dataOffset), endOffset }
}

/**
 * The next block, unverified; undefined at the end.
 *
 * @throws ERR_CAR_INVALID
 */
export async function readCarBlock(reader: PullReader, endOffset: number | null): Promise<Block | undefined> {
  const start = reader.offset
  if (endOffset !== null && start >= endOffset) return undefined
  const length = await readVarint(reader)
  if (length === undefined) {
    if (endOffset !== null) throw carInvalid(start, 'it ends before its data does')
    return undefined
  }
  if (length === 0 || length > MAX_SECTION_BYTES) throw carInvalid(start, `a section of ${length} bytes`)
  const section = await reader.upTo(length)
  if (section.length < length) throw carInvalid(reader.offset, 'it ends in the middle of a block')
  if (endOffset !== null && reader.offset > endOffset)
    throw carInvalid(start, 'a block crosses the end of the data')
  try {
    const [cid, bytes] = CID.decodeFirst(section)
    // The CID must not keep the whole section alive, nor the block more than itself.
    return { cid: CID.decode(cid.bytes.slice()), bytes: ownCopy([bytes], bytes.length) }
  } catch (cause) {
    throw carInvalid(start, 'a block without a valid CID', cause)
  }
}

async function readVarint(reader: PullReader): Promise<number | undefined> {
  const start = reader.offset
  let value = 0
  for (let index = 0; index < MAX_VARINT_BYTES; index += 1) {
    const [byte] = await reader.upTo(1)
    if (byte === undefined) {
      if (index === 0) return undefined
      throw carInvalid(start, 'it ends in a length')
    }
    value += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return value
  }
  throw carInvalid(start, 'a length is too long')
}

async function readHeaderValue(reader: PullReader): Promise<Record<string, unknown>> {
  const start = reader.offset
  const length = await readVarint(reader)
  if (length === undefined || length === 0 || length > MAX_HEADER_BYTES)
    throw carInvalid(start, 'it has no header')
  const bytes = await reader.upTo(length)
  if (bytes.length < length) throw carInvalid(start, 'it ends in its header')
  try {
    const value: unknown = dagCbor.decode(bytes)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch (cause) {
    throw carInvalid(start, 'its header is not dag-cbor', cause)
  }
  throw carInvalid(start, 'its header is no map')
}

function rootsOf(header: Record<string, unknown>, offset: number): CID[] {
  const { roots } = header
  if (!Array.isArray(roots)) throw carInvalid(offset, 'its header names no roots')
  return roots.map((root: unknown) => {
    const cid = CID.asCID(root)
    if (cid === null) throw carInvalid(offset, 'a root is no CID')
    return cid
  })
}
