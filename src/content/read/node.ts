import type { PBLink } from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import type { CID } from 'multiformats/cid'
import { DAG_PB, decodePb, RAW } from '../../../protocols/content/links.ts'
import { dagInvalid } from '../errors.ts'
import type { EntryType } from '../types.ts'

/** A link of a file's inner node: which bytes lie below it. */
export interface FilePart {
  cid: CID
  sizeBytes: number
}

/** One decoded block as a reader of files and directories sees it. */
export type Node =
  | { type: 'file'; data: Uint8Array; parts: FilePart[]; sizeBytes: number; mode: number | null }
  | { type: 'directory'; links: PBLink[]; mode: number | null }
  | { type: 'shard'; unixfs: UnixFS; links: PBLink[]; mode: number | null }
  | { type: 'symlink'; target: string }
  /** Other codecs, and dag-pb that is not UnixFS. */
  | { type: 'other' }

const NO_BYTES = new Uint8Array(0)
const MODE_BITS = 0o7777

/** @throws ERR_DAG_INVALID where the bytes contradict themselves */
export function decodeNode(cid: CID, bytes: Uint8Array): Node {
  if (cid.code === RAW) return { type: 'file', data: bytes, parts: [], sizeBytes: bytes.length, mode: null }
  if (cid.code !== DAG_PB) return { type: 'other' }
  const { Data: data, Links: links } = decodePb(cid, bytes)
  const unixfs = data === undefined ? undefined : unmarshal(data)
  if (unixfs === undefined) return { type: 'other' }
  const { mode } = unixfs
  switch (unixfs.type) {
    case 'file':
    case 'raw':
      return fileNode(cid, unixfs, links)
    case 'directory':
      return { type: 'directory', links, mode: keptMode(mode, 0o755) }
    case 'hamt-sharded-directory':
      return { type: 'shard', unixfs, links, mode: keptMode(mode, 0o755) }
    case 'symlink':
      return { type: 'symlink', target: new TextDecoder().decode(unixfs.data ?? NO_BYTES) }
    default:
      return { type: 'other' }
  }
}

export function entryTypeOf(node: Node): EntryType {
  return node.type === 'shard' ? 'directory' : node.type
}

function unmarshal(data: Uint8Array): UnixFS | undefined {
  try {
    return UnixFS.unmarshal(data)
  } catch {
    return undefined
  }
}

/** UnixFS omits the mode that is usual for the type, so the usual one and none cannot be told apart. */
function keptMode(mode: number | undefined, usual: number): number | null {
  return mode === undefined || mode === usual ? null : mode & MODE_BITS
}

function fileNode(cid: CID, unixfs: UnixFS, links: PBLink[]): Node {
  if (unixfs.blockSizes.length !== links.length) throw dagInvalid(cid, 'it has not as many sizes as links')
  const data = unixfs.data ?? NO_BYTES
  let sizeBytes = data.length
  const parts = links.map((link, index) => {
    const partBytes = Number(unixfs.blockSizes[index])
    sizeBytes += partBytes
    return { cid: link.Hash, sizeBytes: partBytes }
  })
  if (!Number.isSafeInteger(sizeBytes)) throw dagInvalid(cid, 'its size is too large')
  return { type: 'file', data, parts, sizeBytes, mode: keptMode(unixfs.mode, 0o644) }
}
