import { CID } from 'multiformats/cid'
import { DAG_CBOR, DAG_JSON, decodeValue } from '../../../protocols/content/links.ts'
import { pathNotFound } from '../errors.ts'
import type { Resolved } from '../types.ts'
import type { Address } from './address.ts'
import type { BlockReader } from './block-reader.ts'
import { findEntry } from './directory.ts'
import type { Node } from './node.ts'
import { decodeNode, entryTypeOf } from './node.ts'

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
  let cid = address.root
  let path = address.path
  while (path.length > 0) {
    const bytes = await reader.get(cid, signal)
    const isValue = cid.code === DAG_CBOR || cid.code === DAG_JSON
    const step: Step = isValue
      ? stepInValue(cid, bytes, path)
      : await stepInNode(reader, cid, bytes, path, signal)
    cid = step.cid
    path = step.rest
  }
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

interface Step {
  cid: CID
  rest: string[]
}

async function stepInNode(
  reader: BlockReader,
  cid: CID,
  bytes: Uint8Array,
  path: string[],
  signal: AbortSignal,
): Promise<Step> {
  const [name = '', ...rest] = path
  const node = decodeNode(cid, bytes)
  const isDirectory = node.type === 'directory' || node.type === 'shard'
  const found = isDirectory ? await findEntry(reader, cid, node, name, signal) : undefined
  if (found === undefined) throw pathNotFound(path.join('/'), cid)
  return { cid: found, rest }
}

/** Follows keys within one block up to its first link. */
function stepInValue(cid: CID, bytes: Uint8Array, path: string[]): Step {
  let value = decodeValue(cid, bytes)
  for (const [index, name] of path.entries()) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) break
    value = (value as Record<string, unknown>)[name]
    const link = CID.asCID(value)
    if (link !== null) return { cid: link, rest: path.slice(index + 1) }
  }
  throw pathNotFound(path.join('/'), cid)
}
