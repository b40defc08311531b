import { tarInvalid } from './errors.ts'

/** Everything in a tar is in units of this size. */
export const TAR_BLOCK_BYTES = 512

/**
 * One 512-byte header as POSIX.1-2024 (pax, "ustar Interchange Format") lays it out, with GNU's base-256 sizes.
 * Why not a library: tar-stream and the like read whole streams and tell neither the position of an entry nor the bytes
 * of a name, and an import must go on at a position and must not guess at names.
 */
export interface TarHeader {
  name: string
  mode: number
  sizeBytes: number
  /** One character; `0` for a file. */
  typeflag: string
  linkName: string
}

/** `ignoreBOM`: a name may begin with one, and stays as it is. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws ERR_TAR_INVALID where the bytes are not UTF-8, which a name in a DAG has to be */
export function decodeText(bytes: Uint8Array, offset: number): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    const shown = Buffer.from(bytes).toString('latin1')
    throw tarInvalid(offset, `the name ${JSON.stringify(shown)} is not valid UTF-8`, cause)
  }
}

function field(block: Uint8Array, start: number, length: number): Uint8Array {
  const bytes = block.subarray(start, start + length)
  const end = bytes.indexOf(0)
  return end === -1 ? bytes : bytes.subarray(0, end)
}

function readNumber(block: Uint8Array, start: number, length: number, offset: number): number {
  const first = block[start] as number
  if (first === 0x80) {
    let value = 0
    for (const byte of block.subarray(start + 1, start + length)) value = value * 256 + byte
    if (!Number.isSafeInteger(value)) throw tarInvalid(offset, 'a number is too large')
    return value
  }
  const text = Buffer.from(field(block, start, length))
    .toString('latin1')
    .trim()
  if (text === '') return 0
  if (!/^[0-7]+$/.test(text)) throw tarInvalid(offset, `"${text}" is not an octal number`)
  return Number.parseInt(text, 8)
}

const CHECKSUM_START = 148
const CHECKSUM_END = 156

function checksum(block: Uint8Array): number {
  let sum = 0
  for (let at = 0; at < TAR_BLOCK_BYTES; at += 1) {
    sum += at >= CHECKSUM_START && at < CHECKSUM_END ? 0x20 : (block[at] as number)
  }
  return sum
}

export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0)
}

/**
 * @param offset where the header lies in the stream, for messages
 * @throws ERR_TAR_INVALID
 */
export function decodeTarHeader(block: Uint8Array, offset: number): TarHeader {
  if (checksum(block) !== readNumber(block, CHECKSUM_START, 8, offset)) {
    throw tarInvalid(offset, 'a header does not match its checksum (is it a tar, and not compressed?)')
  }
  const typeByte = block[156] as number
  const magic = Buffer.from(block.subarray(257, 265)).toString('latin1')
  // The prefix exists in the POSIX format only; GNU keeps other things there.
  const prefix = magic === 'ustar\u000000' ? field(block, 345, 155) : new Uint8Array(0)
  const name = field(block, 0, 100)
  const path = prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name])
  return {
    name: decodeText(path, offset),
    mode: readNumber(block, 100, 8, offset) & 0o7777,
    sizeBytes: readNumber(block, 124, 12, offset),
    typeflag: typeByte === 0 ? '0' : String.fromCharCode(typeByte),
    linkName: decodeText(field(block, 157, 100), offset),
  }
}

/**
 * The records of a pax extended header: `"<length> <key>=<value>\n"` one behind the other.
 *
 * @throws ERR_TAR_INVALID
 */
export function decodePaxRecords(bytes: Uint8Array, offset: number): Map<string, string> {
  const records = new Map<string, string>()
  let at = 0
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at)
    const digits = space === -1 ? '' : Buffer.from(bytes.subarray(at, space)).toString('latin1')
    const length = /^[1-9]\d{0,8}$/.test(digits) ? Number(digits) : 0
    const record = bytes.subarray(space + 1, at + length)
    const equals = record.indexOf(0x3d)
    if (length === 0 || at + length > bytes.length || equals === -1 || record.at(-1) !== 0x0a) {
      throw tarInvalid(offset, 'an extended header is malformed')
    }
    const key = decodeText(record.subarray(0, equals), offset)
    // Only names must be text; attributes such as SCHILY.xattr may be anything and are not kept.
    const isText = key === 'path' || key === 'linkpath' || key === 'size'
    const value = record.subarray(equals + 1, -1)
    records.set(key, isText ? decodeText(value, offset) : '')
    at += length
  }
  return records
}
