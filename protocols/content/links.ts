import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { isTooDear } from './block-cost.ts'
import { dagInvalid } from './errors.ts'

export const RAW = 0x55
export const DAG_PB = dagPb.code
export const DAG_CBOR = dagCbor.code
export const DAG_JSON = dagJson.code

/** Nested maps and lists in one block; deeper ones come from somebody who wants to fill our stack. */
const MAX_NESTING = 256

/** True where a block of that codec can have links at all. */
export function mayHaveLinks(cid: CID): boolean {
  return cid.code === DAG_PB || cid.code === DAG_CBOR || cid.code === DAG_JSON
}

/**
 * The CIDs that a block links to, in its order, with repetitions. Blocks of codecs that this node does not know count
 * as having no links, as raw ones do.
 *
 * @throws ERR_DAG_INVALID where the bytes are not what the codec says
 */
export function links(cid: CID, bytes: Uint8Array): CID[] {
  if (!mayHaveLinks(cid)) return []
  if (cid.code === DAG_PB) return decodePb(cid, bytes).Links.map((link) => link.Hash)
  const found: CID[] = []
  collectLinks(decodeValue(cid, bytes), found, 0)
  return found
}

/** @throws ERR_DAG_INVALID, also where it has more links than are looked through at once */
export function decodePb(cid: CID, bytes: Uint8Array): dagPb.PBNode {
  assertCheap(cid, bytes)
  try {
    return dagPb.decode(bytes)
  } catch (cause) {
    throw dagInvalid(cid, 'not a dag-pb node', cause)
  }
}

/** The value in a dag-cbor or dag-json block. @throws ERR_DAG_INVALID, also where it has more parts than are looked through at once */
export function decodeValue(cid: CID, bytes: Uint8Array): unknown {
  assertCheap(cid, bytes)
  try {
    return cid.code === DAG_CBOR ? dagCbor.decode(bytes) : dagJson.decode(bytes)
  } catch (cause) {
    throw dagInvalid(cid, 'not valid dag-cbor or dag-json', cause)
  }
}

function assertCheap(cid: CID, bytes: Uint8Array): void {
  if (isTooDear(cid.code, bytes)) throw dagInvalid(cid, 'more in it than is decoded at once')
}

/** Adds the CIDs in a decoded value to `found`, in its order. */
export function collectLinks(value: unknown, found: CID[], depth: number): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || depth > MAX_NESTING)
    return
  const cid = CID.asCID(value)
  if (cid !== null) {
    found.push(cid)
    return
  }
  for (const item of Object.values(value)) collectLinks(item, found, depth + 1)
}
