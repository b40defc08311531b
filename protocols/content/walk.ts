import type { PBNode } from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import { dagInvalid, pathNotFound } from './errors.ts'
import { findInShard, prefixLength } from './hamt.ts'
import { inlineBytes } from './hash.ts'
import {
  collectLinks,
  DAG_CBOR,
  DAG_JSON,
  DAG_PB,
  decodePb,
  decodeValue,
  links,
  mayHaveLinks,
} from './links.ts'
import { MAX_DAG_DEPTH } from './limits.ts'
import type { ByteRange, Scope } from './types.ts'

/**
 * How a DAG is walked, in one place for both ends: a server sends blocks in this order, and a client knows from its
 * own walk which blocks it may be sent.
 *
 * A visit is a block to get and what to do below it. `expand` turns a visit and its block into the visits below, in
 * the order of a reader (depth first, entries as they are written).
 */
export interface Visit {
  readonly cid: CID
  /** Segments still to resolve, from this block on; empty at and below the end of the path. */
  readonly path: readonly string[]
  readonly scope: Scope
  /** The range as it was asked for, as long as the block that it speaks of has not been reached. */
  readonly range: ByteRange | undefined
  /** Below that block: the bytes that are wanted, counted from this block's first one; end exclusive. */
  readonly span: Span | undefined
  /** Levels of links that may be followed below this block. */
  readonly depthLeft: number
  /** Links from the root to here. */
  readonly depth: number
  /** In a sharded directory: shards above this one, while a path is resolved or only the shards are wanted. */
  readonly shardLevel: number
  /** Bytes of content below this block where the parent says so: of a raw leaf, its length. 0: unknown. */
  readonly sizeHint: number
}

interface Span {
  readonly start: number
  readonly end: number
}

export interface WalkRequest {
  root: CID
  scope: Scope
  path?: readonly string[] | undefined
  range?: ByteRange | undefined
  depthBudget?: number | undefined
}

export interface Expansion {
  visits: Visit[]
  /** At the end of the path: bytes of all blocks that are in scope, as far as this block tells. */
  totalBytes: number | undefined
}

const NOTHING: Expansion = { visits: [], totalBytes: undefined }

/** Where the walk begins. */
export function firstVisits(request: WalkRequest): Visit[] {
  return withoutInline([firstVisit(request)])
}

export function firstVisit(request: WalkRequest): Visit {
  return {
    cid: request.root,
    path: request.path ?? [],
    scope: request.scope,
    range: request.range,
    span: undefined,
    depthLeft: request.depthBudget ?? MAX_DAG_DEPTH,
    depth: 0,
    shardLevel: 0,
    sizeHint: 0,
  }
}

/** False where the block has nothing below it that matters, so that its bytes need not be looked at. */
export function needsExpansion(visit: Visit): boolean {
  if (visit.path.length > 0) return true
  return visit.scope !== 'block' && visit.depthLeft > 0 && mayHaveLinks(visit.cid)
}

/**
 * @throws ERR_NOT_FOUND where the path does not exist; ERR_DAG_INVALID where the block is not what its codec says
 */
export function expand(visit: Visit, bytes: Uint8Array): Expansion {
  const { visits, totalBytes } = expandBlock(visit, bytes)
  return { visits: withoutInline(visits), totalBytes }
}

/** A CID that holds its block itself is never sent: what is below it takes its place. */
function withoutInline(visits: Visit[]): Visit[] {
  if (visits.every(({ cid }) => inlineBytes(cid) === undefined)) return visits
  return visits.flatMap((visit) => {
    const bytes = inlineBytes(visit.cid)
    return bytes === undefined ? [visit] : expand(visit, bytes).visits
  })
}

function expandBlock(visit: Visit, bytes: Uint8Array): Expansion {
  if (!needsExpansion(visit)) return NOTHING
  if (visit.depth >= MAX_DAG_DEPTH) throw dagInvalid(visit.cid, 'links deeper than is allowed')
  if (visit.cid.code === DAG_PB) return expandPb(visit, bytes)
  if (visit.path.length > 0) return resolveInValue(visit, bytes)
  // An entity that is not UnixFS is its one block.
  if (visit.scope === 'entity') return NOTHING
  return { visits: links(visit.cid, bytes).map((cid) => below(visit, { cid })), totalBytes: undefined }
}

function expandPb(visit: Visit, bytes: Uint8Array): Expansion {
  const node = decodePb(visit.cid, bytes)
  const unixfs = decodeUnixfs(node)
  if (visit.path.length > 0) return resolveInPb(visit, node, unixfs)
  if (unixfs !== undefined && (unixfs.type === 'file' || unixfs.type === 'raw')) {
    return expandFile(visit, node, unixfs, bytes.length)
  }
  if (visit.scope === 'all') {
    return {
      visits: node.Links.map((link) => below(visit, { cid: link.Hash })),
      totalBytes: cumulativeBytes(node, bytes.length),
    }
  }
  if (unixfs?.type !== 'hamt-sharded-directory') return NOTHING
  // Of a sharded directory its shards alone: entries have names longer than a position.
  const length = prefixLength(visit.cid, unixfs)
  const shards = node.Links.filter((link) => link.Name?.length === length)
  return {
    visits: shards.map((link) => below(visit, { cid: link.Hash, shardLevel: visit.shardLevel + 1 })),
    totalBytes: undefined,
  }
}

function expandFile(visit: Visit, node: PBNode, unixfs: UnixFS, blockBytes: number): Expansion {
  const sizes = unixfs.blockSizes.map(Number)
  if (sizes.length !== node.Links.length) {
    // Size table and links disagree: without a range every link is followed all the same.
    if (visit.range !== undefined || visit.span !== undefined) {
      throw dagInvalid(visit.cid, 'a file whose sizes do not match its links')
    }
    return { visits: node.Links.map((link) => below(visit, { cid: link.Hash })), totalBytes: undefined }
  }
  const ownBytes = unixfs.data?.length ?? 0
  const fileBytes = sizes.reduce((sum, size) => sum + size, ownBytes)
  const span = visit.range === undefined ? visit.span : absoluteSpan(visit.range, fileBytes)
  const visits: Visit[] = []
  let start = ownBytes
  for (const [index, link] of node.Links.entries()) {
    const size = sizes[index]!
    const end = start + size
    if (span === undefined) {
      visits.push(below(visit, { cid: link.Hash, sizeHint: size }))
    } else if (start < span.end && end > span.start) {
      const inner = { start: Math.max(0, span.start - start), end: span.end - start }
      visits.push(below(visit, { cid: link.Hash, sizeHint: size, span: inner }))
    }
    start = end
  }
  const whole = cumulativeBytes(node, blockBytes)
  return {
    visits,
    totalBytes: span === undefined ? whole : Math.min(whole, span.end - span.start + blockBytes),
  }
}

/** IPIP-402: both ends inclusive, negative ones from the end; an empty range keeps nothing below the root. */
function absoluteSpan(range: ByteRange, fileBytes: number): Span {
  const start = range.from < 0 ? Math.max(0, fileBytes + range.from) : range.from
  const last = range.to === undefined ? fileBytes - 1 : range.to < 0 ? fileBytes + range.to : range.to
  return { start, end: Math.max(start, Math.min(last + 1, fileBytes)) }
}

function resolveInPb(visit: Visit, node: PBNode, unixfs: UnixFS | undefined): Expansion {
  const [segment = '', ...rest] = visit.path
  if (unixfs?.type === 'hamt-sharded-directory') {
    const found = findInShard(visit.cid, unixfs, node.Links, segment, visit.shardLevel)
    if (found === undefined) throw pathNotFound(segment, visit.cid)
    return found.isEntry
      ? onPath(visit, found.link.Hash, rest, 0)
      : onPath(visit, found.link.Hash, visit.path, visit.shardLevel + 1)
  }
  const link = node.Links.find(({ Name }) => Name === segment)
  const isNamed = unixfs === undefined || unixfs.type === 'directory'
  if (link === undefined || !isNamed) throw pathNotFound(segment, visit.cid)
  return onPath(visit, link.Hash, rest, 0)
}

/** A path through maps and lists of one block, on to the block that it links to, or ending inside it. */
function resolveInValue(visit: Visit, bytes: Uint8Array): Expansion {
  if (visit.cid.code !== DAG_CBOR && visit.cid.code !== DAG_JSON) {
    throw pathNotFound(visit.path[0] ?? '', visit.cid)
  }
  let value = decodeValue(visit.cid, bytes)
  for (const [index, segment] of visit.path.entries()) {
    const isMap = typeof value === 'object' && value !== null && !(value instanceof Uint8Array)
    if (!isMap || !Object.hasOwn(value as object, segment)) throw pathNotFound(segment, visit.cid)
    value = (value as Record<string, unknown>)[segment]
    const cid = CID.asCID(value)
    if (cid !== null) return onPath(visit, cid, visit.path.slice(index + 1), 0)
  }
  if (visit.scope !== 'all' || visit.depthLeft === 0) return NOTHING
  const found: CID[] = []
  collectLinks(value, found, 0)
  return { visits: found.map((cid) => below({ ...visit, path: [] }, { cid })), totalBytes: undefined }
}

function onPath(visit: Visit, cid: CID, path: readonly string[], shardLevel: number): Expansion {
  return { visits: [{ ...visit, cid, path, shardLevel, depth: visit.depth + 1 }], totalBytes: undefined }
}

function below(
  visit: Visit,
  child: { cid: CID; sizeHint?: number; span?: Span; shardLevel?: number },
): Visit {
  return {
    cid: child.cid,
    path: visit.path,
    scope: visit.scope,
    range: undefined,
    span: child.span,
    depthLeft: visit.depthLeft - 1,
    depth: visit.depth + 1,
    shardLevel: child.shardLevel ?? 0,
    sizeHint: child.sizeHint ?? 0,
  }
}

/** dag-pb is used for other things too: their links are followed by name, ranges and shards need UnixFS. */
function decodeUnixfs(node: PBNode): UnixFS | undefined {
  if (node.Data === undefined) return undefined
  try {
    return UnixFS.unmarshal(node.Data)
  } catch {
    return undefined
  }
}

function cumulativeBytes(node: PBNode, blockBytes: number): number {
  return node.Links.reduce((sum, link) => sum + (link.Tsize ?? 0), blockBytes)
}
