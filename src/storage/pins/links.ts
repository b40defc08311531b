import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import * as dagPb from '@ipld/dag-pb'
import { createUnsafe } from 'multiformats/block'
import { CID } from 'multiformats/cid'
import { IDENTITY_CODE, keyOf } from '../blocks/hashes.ts'

/** A CID taken apart as references need it. */
export interface Link {
  /** The CID as version 1, in bytes: how references know it. A CID of version 0 is the same reference. */
  key: Uint8Array
  /** Its multihash: how blocks are known. */
  mh: Uint8Array
  /** Whether its codec has no links, so that counting it takes no walk. */
  leaf: boolean
}

/** The bytes are not what the codec of their CID says. */
export class MalformedBlockError extends Error {}

/**
 * Codecs without links: raw, CBOR and JSON. Every other codec is either walked or refused: were an unknown one taken
 * for a leaf, a later version that knows it would uncount children that nobody counted.
 */
const LEAF_CODECS: ReadonlySet<number> = new Set([0x55, 0x51, 0x0200])

/**
 * Blocks inside CIDs (identity hash) may hold such CIDs themselves. Each level decodes all that is below it, so that
 * unbounded nesting within one block would take quadratic time.
 */
const MAX_INLINE_DEPTH = 8

export function isIdentity(cid: CID): boolean {
  return cid.multihash.code === IDENTITY_CODE
}

export function isLeafCodec(code: number): boolean {
  return LEAF_CODECS.has(code)
}

/** Whether a DAG with this codec can be pinned recursively. */
export function isKnownCodec(code: number): boolean {
  return LEAF_CODECS.has(code) || code === dagPb.code || code === dagCbor.code || code === dagJson.code
}

/** The CID as version 1, in bytes. */
export function referenceKey(cid: CID): Uint8Array {
  return cid.version === 1 ? cid.bytes : CID.createV1(cid.code, cid.multihash).bytes
}

export function toLink(cid: CID): Link {
  return { key: referenceKey(cid), mh: cid.multihash.bytes, leaf: isLeafCodec(cid.code) }
}

/**
 * The distinct links of a block in the order of their first appearance, which follows from the bytes alone: a walk that
 * was interrupted counts on finding the same list again. Links into CIDs that hold their block themselves (identity
 * hash) are replaced by the links of that block.
 * @throws MalformedBlockError where the bytes do not decode, or link to a codec that cannot be walked
 */
export function linksOf(cid: CID, bytes: Uint8Array): Link[] {
  const found = new Map<string, Link>()
  collect(cid, bytes, found, 0)
  return pack([...found.values()])
}

/** Copies the keys out of the block, so that a list which is kept does not keep the block's bytes with it. */
function pack(links: Link[]): Link[] {
  const packed = new Uint8Array(links.reduce((total, { key }) => total + key.byteLength, 0))
  let offset = 0
  return links.map((link) => {
    packed.set(link.key, offset)
    const key = packed.subarray(offset, offset + link.key.byteLength)
    offset += link.key.byteLength
    return { key, mh: key.subarray(key.byteLength - link.mh.byteLength), leaf: link.leaf }
  })
}

function collect(cid: CID, bytes: Uint8Array, found: Map<string, Link>, depth: number): void {
  if (isLeafCodec(cid.code)) return
  if (depth > MAX_INLINE_DEPTH) throw new MalformedBlockError('blocks inside CIDs are nested too deep')
  for (const child of decode(cid, bytes)) {
    if (!isKnownCodec(child.code)) {
      throw new MalformedBlockError(`a link has codec 0x${child.code.toString(16)}, which cannot be walked`)
    }
    if (isIdentity(child)) {
      collect(child, child.multihash.digest, found, depth + 1)
      continue
    }
    const link = toLink(child)
    const text = keyOf(link.key)
    if (!found.has(text)) found.set(text, link)
  }
}

function decode(cid: CID, bytes: Uint8Array): CID[] {
  try {
    switch (cid.code) {
      case dagPb.code:
        return dagPb.decode(bytes).Links.map((link) => link.Hash)
      case dagCbor.code:
        return generic(cid, bytes, dagCbor)
      case dagJson.code:
        return generic(cid, bytes, dagJson)
    }
  } catch (error) {
    // A RangeError, too: a decoder that ran out of stack on a block nested thousands deep.
    throw new MalformedBlockError(error instanceof Error ? error.message : String(error))
  }
  throw new MalformedBlockError(`codec 0x${cid.code.toString(16)} cannot be walked`)
}

function generic(
  cid: CID,
  bytes: Uint8Array,
  codec: { name: string; code: number; decode(bytes: Uint8Array): unknown },
): CID[] {
  const block = createUnsafe({ cid, bytes, codec })
  return Array.from(block.links(), ([, child]) => child)
}
