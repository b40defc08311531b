import { CID } from 'multiformats/cid'
import { DAG_CBOR, DAG_JSON, decodeValue } from '../../../protocols/content/links.ts'
import { pathNotFound } from '../errors.ts'
import type { BlockReader } from './block-reader.ts'
import { findEntry } from './directory.ts'
import { decodeNode } from './node.ts'

/** Where a path leads. */
export interface PathEnd {
  /** The last block on the path. */
  cid: CID
  /** The root, and the block that each name of the path leads to; the inner shards of directories are left out. */
  roots: CID[]
  /** Names that lead to something inside the last block which is no link to another one; empty at a block. */
  rest: string[]
}

/**
 * Walks a path name by name, through UnixFS directories and the maps and lists of dag-cbor and dag-json.
 *
 * @throws ERR_NOT_FOUND where the path does not exist, ERR_DAG_INVALID
 */
export async function walkPath(
  reader: BlockReader,
  root: CID,
  path: readonly string[],
  signal: AbortSignal,
): Promise<PathEnd> {
  const roots = [root]
  let cid = root
  let left = [...path]
  while (left.length > 0) {
    const bytes = await reader.get(cid, signal)
    const isValue = cid.code === DAG_CBOR || cid.code === DAG_JSON
    const step = isValue ? stepInValue(cid, bytes, left) : await stepInNode(reader, cid, bytes, left, signal)
    if (step.cid === undefined) return { cid, roots, rest: left }
    cid = step.cid
    left = step.left
    roots.push(cid)
  }
  return { cid, roots, rest: [] }
}

interface Step {
  /** Undefined: the path ends inside of the block. */
  cid: CID | undefined
  left: string[]
}

async function stepInNode(
  reader: BlockReader,
  cid: CID,
  bytes: Uint8Array,
  path: string[],
  signal: AbortSignal,
): Promise<Step> {
  const [name = '', ...left] = path
  const node = decodeNode(cid, bytes)
  const isDirectory = node.type === 'directory' || node.type === 'shard'
  const found = isDirectory ? await findEntry(reader, cid, node, name, signal) : undefined
  if (found === undefined) throw pathNotFound(path.join('/'), cid)
  return { cid: found, left }
}

/** Follows keys within one block up to its first link. */
function stepInValue(cid: CID, bytes: Uint8Array, path: string[]): Step {
  let value = decodeValue(cid, bytes)
  for (const [index, name] of path.entries()) {
    const isBranch = typeof value === 'object' && value !== null && !(value instanceof Uint8Array)
    if (!isBranch || !Object.hasOwn(value as object, name)) throw pathNotFound(path.join('/'), cid)
    value = (value as Record<string, unknown>)[name]
    const link = CID.asCID(value)
    if (link !== null) return { cid: link, left: path.slice(index + 1) }
  }
  return { cid: undefined, left: path }
}
