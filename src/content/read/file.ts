import type { CID } from 'multiformats/cid'
import { dagInvalid, notAFile } from '../errors.ts'
import type { BlockReader, ReadAhead } from './block-reader.ts'
import { READ_AHEAD, readAhead } from './block-reader.ts'
import type { FilePart, Node } from './node.ts'
import { decodeNode, entryTypeOf } from './node.ts'

/** Trees of this depth hold more bytes than numbers can count; deeper ones only waste time. */
const MAX_DEPTH = 32

type FileNode = Extract<Node, { type: 'file' }>

/**
 * The bytes of a file from `offset` on, at most `length`. Blocks are read ahead in a small window that moves with the
 * consumer, `ahead` or the usual one; the parts are those of the blocks and must not be changed.
 *
 * @throws ERR_NOT_A_FILE, ERR_DAG_INVALID where a block holds more or fewer bytes than its parent says
 */
export async function* readFile(
  reader: BlockReader,
  cid: CID,
  options: { offset?: number; length?: number; ahead?: ReadAhead; signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const { offset = 0, length = Number.POSITIVE_INFINITY, ahead = READ_AHEAD, signal } = options
  const root = decodeNode(cid, await reader.get(cid, signal))
  if (root.type !== 'file') throw notAFile(cid.toString(), entryTypeOf(root))
  const end = Math.min(root.sizeBytes, offset + length)
  yield* readRange({ reader, ahead, signal }, root, offset, end, 0)
}

interface Reading {
  reader: BlockReader
  ahead: ReadAhead
  signal: AbortSignal
}

/** Bytes `from` to `end` (exclusive) of what is below `node`, counted from its own start. */
async function* readRange(
  reading: Reading,
  node: FileNode,
  from: number,
  end: number,
  depth: number,
): AsyncGenerator<Uint8Array> {
  const { reader, ahead, signal } = reading
  if (from >= end) return
  if (from < node.data.length) yield node.data.subarray(from, Math.min(end, node.data.length))

  const wanted = partsIn(node, from, end)
  const blocks = readAhead(
    wanted,
    ({ part }, signal) => reader.get(part.cid, signal),
    ({ part }) => part.sizeBytes,
    signal,
    ahead,
  )
  for await (const { item, bytes } of blocks) {
    const { part, start } = item
    const child = decodeNode(part.cid, bytes)
    if (child.type !== 'file') throw dagInvalid(part.cid, `it is a ${entryTypeOf(child)} inside of a file`)
    if (child.sizeBytes !== part.sizeBytes) throw dagInvalid(part.cid, 'its size is not what its parent says')
    if (depth === MAX_DEPTH) throw dagInvalid(part.cid, 'the file is nested too deeply')
    yield* readRange(
      reading,
      child,
      Math.max(0, from - start),
      Math.min(part.sizeBytes, end - start),
      depth + 1,
    )
  }
}

function* partsIn(node: FileNode, from: number, end: number): Iterable<{ part: FilePart; start: number }> {
  let start = node.data.length
  for (const part of node.parts) {
    if (start >= end) return
    if (start + part.sizeBytes > from) yield { part, start }
    start += part.sizeBytes
  }
}
