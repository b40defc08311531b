import type { CID } from 'multiformats/cid'
import { dagInvalid, paramsInvalid } from '../errors.ts'
import type { TarMember } from '../../tar/encode.ts'
import { encodeTarHeader, TAR_END, tarPadding } from '../../tar/encode.ts'
import { DEFAULT_DIRECTORY_MODE, DEFAULT_FILE_MODE } from '../unixfs/node.ts'
import type { BlockReader, ReadAhead } from './block-reader.ts'
import { READ_AHEAD } from './block-reader.ts'
import { listLinks } from './directory.ts'
import { readFile } from './file.ts'
import type { Node } from './node.ts'
import { decodeNode } from './node.ts'

const SYMLINK_MODE = 0o777
/** Deeper than what an import takes; bounds the recursion on a DAG that somebody else made. */
const MAX_DEPTH = 1024

/**
 * A file or tree as a tar stream whose first member is called `name`. Names that no file can have end it with an error
 * instead of reaching whoever unpacks it.
 *
 * @throws ERR_PARAMS_INVALID, ERR_DAG_INVALID
 */
export async function* writeTar(
  reader: BlockReader,
  target: { cid: CID; node: Node },
  name: string,
  signal: AbortSignal,
  ahead: ReadAhead = READ_AHEAD,
): AsyncGenerator<Uint8Array> {
  if (!isFileName(name)) throw paramsInvalid(`${JSON.stringify(name)} cannot be the name of a file`)
  yield* writeMember({ reader, ahead, signal }, target.cid, target.node, name, 0)
  yield TAR_END
}

interface Writing {
  reader: BlockReader
  ahead: ReadAhead
  signal: AbortSignal
}

async function* writeMember(
  writing: Writing,
  cid: CID,
  node: Node,
  path: string,
  depth: number,
): AsyncGenerator<Uint8Array> {
  const { reader, ahead, signal } = writing
  if (depth > MAX_DEPTH) throw dagInvalid(cid, `the tree is deeper than ${MAX_DEPTH} directories`)
  yield encodeTarHeader(memberOf(cid, node, path))
  if (node.type === 'file') {
    yield* readFile(reader, cid, { ahead, signal })
    const padding = tarPadding(node.sizeBytes)
    if (padding.length > 0) yield padding
    return
  }
  if (node.type !== 'directory' && node.type !== 'shard') return
  const seen = new Set<string>()
  for await (const link of listLinks(reader, cid, node, signal)) {
    if (!isFileName(link.name))
      throw dagInvalid(cid, `${JSON.stringify(link.name)} cannot be the name of a file`)
    if (seen.has(link.name)) throw dagInvalid(cid, `it has two entries called ${JSON.stringify(link.name)}`)
    seen.add(link.name)
    const child = decodeNode(link.cid, await reader.get(link.cid, signal))
    yield* writeMember(writing, link.cid, child, `${path}/${link.name}`, depth + 1)
  }
}

function memberOf(cid: CID, node: Node, path: string): TarMember {
  switch (node.type) {
    case 'file':
      return { path, type: 'file', mode: node.mode ?? DEFAULT_FILE_MODE, sizeBytes: node.sizeBytes }
    case 'symlink':
      return { path, type: 'symlink', mode: SYMLINK_MODE, sizeBytes: 0, target: node.target }
    case 'other':
      throw dagInvalid(
        cid,
        'it is neither a file nor a directory, and a tar cannot hold it; export it as a CAR',
      )
    default:
      return { path, type: 'directory', mode: node.mode ?? DEFAULT_DIRECTORY_MODE, sizeBytes: 0 }
  }
}

function isFileName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0')
}
