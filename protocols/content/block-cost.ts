import { code as DAG_CBOR } from '@ipld/dag-cbor'
import { code as DAG_JSON } from '@ipld/dag-json'
import { code as DAG_PB } from '@ipld/dag-pb'

/**
 * Values in one block that are decoded at once: maps, lists, strings, numbers. Decoding 65 536 of them takes some 30 ms; two million, which
 * a block of 2 MiB has room for, held the event loop for a second.
 */
export const MAX_VALUES_PER_BLOCK = 65_536

/** Links of one dag-pb block: a directory of as many entries in one block has the largest size that a block may have. */
export const MAX_LINKS_PER_BLOCK = 32_768

/**
 * Whether decoding the block would take too long: counted over its bytes, without making anything of them, and no further than the bound.
 * What is no valid block of its codec may be called cheap or dear; the decoder says so.
 */
export function isTooDear(code: number, bytes: Uint8Array): boolean {
  switch (code) {
    case DAG_PB:
      return pbLinks(bytes) > MAX_LINKS_PER_BLOCK
    case DAG_CBOR:
      return cborValues(bytes) > MAX_VALUES_PER_BLOCK
    case DAG_JSON:
      return jsonValues(bytes) > MAX_VALUES_PER_BLOCK
    default:
      return false
  }
}

/** Field 2 of PBNode, length-delimited (https://ipld.io/specs/codecs/dag-pb/spec/). */
const PB_LINKS = 0x12

function pbLinks(bytes: Uint8Array): number {
  let links = 0
  for (let at = 0; at < bytes.length && links <= MAX_LINKS_PER_BLOCK; ) {
    if (bytes[at] === PB_LINKS) links += 1
    at += 1
    let length = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = bytes[at] ?? 0
      at += 1
      length |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    at += length
  }
  return links
}

/** Heads of data items (RFC 8949, section 3): each is one value, and strings are skipped by their length. */
function cborValues(bytes: Uint8Array): number {
  let values = 0
  for (let at = 0; at < bytes.length && values <= MAX_VALUES_PER_BLOCK; values++) {
    const head = bytes[at] as number
    const major = head >> 5
    const info = head & 0x1f
    at += 1
    // One, two, four or eight bytes follow; only the lower four of a length can matter in a block.
    const width = info < 24 || info > 27 ? 0 : 1 << (info - 24)
    let length = info < 24 ? info : 0
    for (let index = 0; index < width; index++) length = (length * 256 + (bytes[at + index] ?? 0)) % 2 ** 32
    at += width
    const isString = major === 2 || major === 3
    if (isString) at += length
  }
  return values
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const BRACKET = 0x5b
const BRACE = 0x7b
const COLON = 0x3a

/** What begins or parts values outside of strings. */
function jsonValues(bytes: Uint8Array): number {
  let values = 1
  let isInString = false
  for (let at = 0; at < bytes.length && values <= MAX_VALUES_PER_BLOCK; at++) {
    const byte = bytes[at]
    if (isInString) {
      if (byte === BACKSLASH) at += 1
      else if (byte === QUOTE) isInString = false
    } else if (byte === QUOTE) isInString = true
    else if (byte === COMMA || byte === BRACKET || byte === BRACE || byte === COLON) values += 1
  }
  return values
}
