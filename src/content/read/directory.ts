import type { PBLink } from '@ipld/dag-pb'
import type { CID } from 'multiformats/cid'
import { findInShard, prefixLength } from '../../../protocols/content/hamt.ts'
import { RAW } from '../../../protocols/content/links.ts'
import { dagInvalid } from '../errors.ts'
import type { Entry } from '../types.ts'
import type { BlockReader } from './block-reader.ts'
import { readAhead } from './block-reader.ts'
import type { Node } from './node.ts'
import { decodeNode, entryTypeOf } from './node.ts'

/** The hash of a name has 64 bits, and a level takes at least one of them. */
const MAX_SHARD_DEPTH = 64

/** Blocks of entries read ahead to tell their types: each is at most 2 MiB, most are tiny. */
const LOOK_AHEAD = { bytes: 8 * 1024 * 1024, blocks: 16 }

export type DirectoryNode = Extract<Node, { type: 'directory' | 'shard' }>

export interface NamedLink {
  name: string
  cid: CID
  /** What the link claims to weigh, all blocks together. */
  tsize: number
}

/** The entries of a directory in its order, those of its shards included. */
export async function* listLinks(
  reader: BlockReader,
  cid: CID,
  node: DirectoryNode,
  signal: AbortSignal,
  depth = 0,
): AsyncGenerator<NamedLink> {
  if (node.type === 'directory') {
    for (const link of node.links) yield namedLink(link, link.Name ?? '')
    return
  }
  if (depth === MAX_SHARD_DEPTH) throw dagInvalid(cid, 'a sharded directory is nested too deeply')
  const width = prefixLength(cid, node.unixfs)
  const isShard = (link: PBLink): boolean => (link.Name ?? '').length === width
  const shards = readAhead(
    node.links.filter(isShard),
    (link, signal) => reader.get(link.Hash, signal),
    (link) => link.Tsize ?? 0,
    signal,
    LOOK_AHEAD,
  )
  try {
    for (const link of node.links) {
      if (!isShard(link)) {
        yield namedLink(link, (link.Name ?? '').slice(width))
        continue
      }
      const next = await shards.next()
      if (next.done === true) return
      const child = decodeNode(link.Hash, next.value.bytes)
      if (child.type !== 'shard') throw dagInvalid(link.Hash, 'a sharded directory has a shard that is none')
      yield* listLinks(reader, link.Hash, child, signal, depth + 1)
    }
  } finally {
    await shards.return(undefined)
  }
}

/** The entry called `name`, or undefined. */
export async function findEntry(
  reader: BlockReader,
  cid: CID,
  node: DirectoryNode,
  name: string,
  signal: AbortSignal,
): Promise<CID | undefined> {
  let place: DirectoryNode = node
  let placeCid = cid
  for (let level = 0; place.type === 'shard'; level += 1) {
    const found = findInShard(placeCid, place.unixfs, place.links, name, level)
    if (found === undefined || found.isEntry) return found?.link.Hash
    placeCid = found.link.Hash
    const child = decodeNode(placeCid, await reader.get(placeCid, signal))
    if (child.type !== 'shard') throw dagInvalid(placeCid, 'a sharded directory has a shard that is none')
    place = child
  }
  return place.links.find((link) => link.Name === name)?.Hash
}

/**
 * Entries with type and size, which stand in the entry's own block, not in the link; only for raw blocks, whose weight is
 * their size, is the link enough. An entry whose block cannot be had is listed as `other` without a size.
 */
export async function* listEntries(
  reader: BlockReader,
  cid: CID,
  node: DirectoryNode,
  signal: AbortSignal,
): AsyncGenerator<Entry> {
  let batch: NamedLink[] = []
  for await (const link of listLinks(reader, cid, node, signal)) {
    batch.push(link)
    if (batch.length < LOOK_AHEAD.blocks) continue
    yield* describe(reader, batch, signal)
    batch = []
  }
  yield* describe(reader, batch, signal)
}

async function* describe(
  reader: BlockReader,
  links: NamedLink[],
  signal: AbortSignal,
): AsyncGenerator<Entry> {
  const nodes = links.map(async (link): Promise<Node | undefined> => {
    if (link.cid.code === RAW) return undefined
    try {
      return decodeNode(link.cid, await reader.get(link.cid, signal))
    } catch (error) {
      signal.throwIfAborted()
      if (isNotFound(error)) return { type: 'other' }
      throw error
    }
  })
  for (const node of nodes) node.catch(() => {})
  for (const [index, link] of links.entries()) {
    yield entryOf(link, await nodes[index])
  }
}

function entryOf(link: NamedLink, node: Node | undefined): Entry {
  const entry = { name: link.name, cid: link.cid.toString() }
  if (node === undefined) return { ...entry, type: 'file', size: link.tsize, mode: null }
  if (node.type === 'symlink') return { ...entry, type: 'symlink', size: 0, mode: null, target: node.target }
  return {
    ...entry,
    type: entryTypeOf(node),
    size: node.type === 'file' ? node.sizeBytes : null,
    mode: node.type === 'other' ? null : node.mode,
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_NOT_FOUND'
}

function namedLink(link: PBLink, name: string): NamedLink {
  return { name, cid: link.Hash, tsize: link.Tsize ?? 0 }
}
