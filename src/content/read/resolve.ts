import type { CID } from 'multiformats/cid'
import { pathNotFound } from '../errors.ts'
import type { Resolved } from '../types.ts'
import type { Address } from './address.ts'
import type { BlockReader } from './block-reader.ts'
import type { Node } from './node.ts'
import { decodeNode, entryTypeOf } from './node.ts'
import { walkPath } from './path.ts'

/** What an address leads to, with its decoded block. */
export interface Target {
  cid: CID
  node: Node
  resolved: Resolved
}

/**
 * Walks the path of an address: names in UnixFS directories, keys and indexes in dag-cbor and dag-json.
 *
 * @throws ERR_NOT_FOUND where the path does not exist
 */
export async function resolveAddress(
  reader: BlockReader,
  address: Address,
  signal: AbortSignal,
): Promise<Target> {
  const { cid, rest } = await walkPath(reader, address.root, address.path, signal)
  if (rest.length > 0) throw pathNotFound(rest.join('/'), cid)
  const node = decodeNode(cid, await reader.get(cid, signal))
  const resolved: Resolved = {
    root: address.root,
    cid,
    path: address.path,
    name: address.path.at(-1) ?? cid.toString(),
    type: entryTypeOf(node),
    size: node.type === 'file' ? node.sizeBytes : null,
    mode: node.type === 'symlink' || node.type === 'other' ? null : node.mode,
  }
  return { cid, node, resolved }
}
