import { hash } from 'node:crypto'
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import * as Digest from 'multiformats/hashes/digest'
import { sha256 } from 'multiformats/hashes/sha2'
import type { Layout } from './profile.ts'

/** A node that something above it is going to link to. */
export interface Child {
  cid: CID
  /** Bytes of all blocks of its DAG, as dag-pb links tell it. */
  tsize: number
  /** Bytes of file content below it; 0 for directories and symlinks. */
  size: number
}

export interface Block {
  cid: CID
  bytes: Uint8Array
}

export interface EncodedNode extends Block {
  child: Child
}

export const DEFAULT_FILE_MODE = 0o644
export const DEFAULT_DIRECTORY_MODE = 0o755

/**
 * Hashing one block inline takes at most about a millisecond (2 MiB at 1.7 GiB/s), less than handing it to a worker and
 * back; the digest goes into a buffer of its own, as `hash` gives slices of Node's pool.
 */
function cidOf(version: 0 | 1, codec: number, bytes: Uint8Array): CID {
  const digest = new Uint8Array(hash('sha256', bytes, 'buffer'))
  return version === 0
    ? CID.createV0(Digest.create(sha256.code, digest))
    : CID.createV1(codec, Digest.create(sha256.code, digest))
}

export function cidFromDigest(layout: Layout, isRaw: boolean, digest: Uint8Array): CID {
  const multihash = Digest.create(sha256.code, digest)
  if (isRaw) return CID.createV1(raw.code, multihash)
  return layout.cidVersion === 0 ? CID.createV0(multihash) : CID.createV1(dagPb.code, multihash)
}

function encodeDagPb(layout: Layout, unixfs: UnixFS, links: dagPb.PBLink[], sizeBytes: number): EncodedNode {
  const bytes = dagPb.encode(dagPb.prepare({ Data: unixfs.marshal(), Links: links }))
  const cid = cidOf(layout.cidVersion, dagPb.code, bytes)
  let tsize = bytes.length
  for (const link of links) tsize += link.Tsize ?? 0
  return { cid, bytes, child: { cid, tsize, size: sizeBytes } }
}

/** One chunk of a file as a leaf of its tree. */
export function encodeLeaf(layout: Layout, chunk: Uint8Array): EncodedNode {
  if (layout.rawLeaves) {
    const cid = cidOf(1, raw.code, chunk)
    return { cid, bytes: chunk, child: { cid, tsize: chunk.length, size: chunk.length } }
  }
  return encodeDagPb(layout, new UnixFS({ type: 'file', data: chunk }), [], chunk.length)
}

/** A whole file in one dag-pb node, which is the only way for a one-block file to carry a mode. */
export function encodeSmallFile(layout: Layout, content: Uint8Array, mode: number): EncodedNode {
  return encodeDagPb(layout, new UnixFS({ type: 'file', data: content, mode }), [], content.length)
}

/** An inner node of a file's tree. */
export function encodeFileNode(layout: Layout, children: Child[], mode: number | undefined): EncodedNode {
  let sizeBytes = 0
  const links = children.map((child) => {
    sizeBytes += child.size
    return { Name: '', Hash: child.cid, Tsize: child.tsize }
  })
  const blockSizes = children.map((child) => BigInt(child.size))
  return encodeDagPb(layout, new UnixFS({ type: 'file', blockSizes, ...withMode(mode) }), links, sizeBytes)
}

export function encodeSymlink(layout: Layout, target: string): EncodedNode {
  return encodeDagPb(layout, new UnixFS({ type: 'symlink', data: new TextEncoder().encode(target) }), [], 0)
}

export interface DirectoryLink {
  name: string
  cid: CID
  tsize: number
}

export function toPbLink(link: DirectoryLink): dagPb.PBLink {
  return { Name: link.name, Hash: link.cid, Tsize: link.tsize }
}

export function encodeFlatDirectory(
  layout: Layout,
  links: DirectoryLink[],
  mode: number | undefined,
): EncodedNode {
  return encodeDagPb(layout, new UnixFS({ type: 'directory', ...withMode(mode) }), links.map(toPbLink), 0)
}

export function encodeShard(
  layout: Layout,
  links: DirectoryLink[],
  shard: { bitfield: Uint8Array; fanout: number; hashCode: number },
  mode: number | undefined,
): EncodedNode {
  const unixfs = new UnixFS({
    type: 'hamt-sharded-directory',
    data: shard.bitfield,
    fanout: BigInt(shard.fanout),
    hashType: BigInt(shard.hashCode),
    ...withMode(mode),
  })
  return encodeDagPb(layout, unixfs, links.map(toPbLink), 0)
}

function withMode(mode: number | undefined): { mode?: number } {
  return mode === undefined ? {} : { mode }
}
