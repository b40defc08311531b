import { hash } from 'node:crypto'
import type { CID } from 'multiformats/cid'
import type { ByteRange, Scope } from '../../../protocols/content/types.ts'
import type { BlockReader } from '../../content/read/block-reader.ts'
import { decodeNode, type Node } from '../../content/read/node.ts'
import { type CarRequest, writeScopedCar } from '../../content/read/scoped-car.ts'
import { writeTar } from '../../content/read/tar.ts'
import { contentDisposition } from '../disposition.ts'
import { matchesEntityTag } from '../range.ts'
import { badRequest, notAcceptable } from './errors.ts'
import { type Answer, cacheControl, commonHeaders, type Exchange, nameOf } from './exchange.ts'
import { MEDIA_TYPES } from './format.ts'
import { CAR_BUDGET, FILE_READ_AHEAD, TAR_HELD_BYTES } from './limits.ts'

/** A part of a DAG as a CAR, with the blocks that prove the way to it. */
export async function answerCar(exchange: Exchange): Promise<Answer> {
  const { cid, rootCid, path, query, headers: asked, isHead, negotiated, signal, open } = exchange
  const { duplicates } = negotiated.car
  const scope = scopeOf(query)
  const range = rangeOf(query)
  const shape = [scope, range?.from ?? '', range?.to ?? '', duplicates ? 'y' : 'n', rootCid, ...path].join(
    '\n',
  )
  const entityTag = `W/"${cid}.car.${hash('sha256', shape).slice(0, 16)}"`
  const headers = {
    ...commonHeaders(exchange),
    ...cacheControl(exchange),
    etag: entityTag,
    'content-type': `${MEDIA_TYPES.car}; version=1; order=dfs; dups=${duplicates ? 'y' : 'n'}`,
    'content-disposition': contentDisposition('attachment', query.get('filename') ?? `${cid}.car`),
    'accept-ranges': 'none',
  }
  if (matchesEntityTag(asked['if-none-match'], entityTag.slice(2)))
    return { status: 304, headers, chunks: [], route: 'car' }
  const reader = open({ scope, ...(range === undefined ? {} : { range }) })
  const wanted = await wantedPart(reader, cid, { scope, range }, signal)
  const request: CarRequest = { root: rootCid, path, duplicates, ...wanted }
  const chunks = isHead ? [] : writeScopedCar(reader, request, CAR_BUDGET, signal)
  return { status: 200, headers, chunks, route: 'car' }
}

/**
 * What of the block at the path's end is asked for. Its block is read, so that one which nobody has is told by a status.
 *
 * @throws ERR_REQUEST_INVALID where the range begins after the file
 */
async function wantedPart(
  reader: BlockReader,
  cid: CID,
  { scope, range }: { scope: Scope; range: ByteRange | undefined },
  signal: AbortSignal,
): Promise<Pick<CarRequest, 'scope' | 'range'>> {
  const bytes = await reader.get(cid, signal)
  if (range === undefined) return { scope }
  const node = decodeNode(cid, bytes)
  // What has no bytes in a row has no ranges either.
  if (node.type !== 'file') return { scope }
  const size = node.sizeBytes
  const from = range.from < 0 ? Math.max(0, size + range.from) : range.from
  const last =
    range.to === undefined ? size - 1 : range.to < 0 ? size + range.to : Math.min(range.to, size - 1)
  if (from >= size && size > 0) throw badRequest('entity-bytes begins after the end of the file')
  return last < from ? { scope: 'block' } : { scope: 'entity', range: { from, to: last } }
}

/** @throws ERR_REQUEST_INVALID */
function scopeOf(query: URLSearchParams): Scope {
  const scope = query.get('dag-scope') ?? (query.has('entity-bytes') ? 'entity' : 'all')
  if (scope !== 'block' && scope !== 'entity' && scope !== 'all')
    throw badRequest('dag-scope is block, entity or all')
  return scope
}

/** IPIP-402: `FROM:TO`, both inclusive, negative ones from the end, `*` for the end. @throws ERR_REQUEST_INVALID */
function rangeOf(query: URLSearchParams): ByteRange | undefined {
  const text = query.get('entity-bytes')
  if (text === null) return undefined
  const [, from, to] = /^(-?\d{1,15}):(-?\d{1,15}|\*)$/.exec(text) ?? []
  if (from === undefined) throw badRequest('entity-bytes is FROM:TO in bytes, such as 0:1023, or FROM:*')
  if (query.get('dag-scope') !== null && query.get('dag-scope') !== 'entity') return undefined
  return to === '*' ? { from: Number(from) } : { from: Number(from), to: Number(to) }
}

/** A file or tree as a TAR. Content that no file system could hold is refused, not made harmless. */
export async function answerTar(exchange: Exchange): Promise<Answer> {
  const { cid, query, headers: asked, isHead, signal, open } = exchange
  const entityTag = `W/"${cid}.x-tar"`
  const headers = {
    ...commonHeaders(exchange),
    ...cacheControl(exchange),
    etag: entityTag,
    'content-type': MEDIA_TYPES.tar,
    'content-disposition': contentDisposition(
      'attachment',
      query.get('filename') ?? `${nameOf(exchange)}.tar`,
    ),
    'accept-ranges': 'none',
  }
  if (matchesEntityTag(asked['if-none-match'], entityTag.slice(2)))
    return { status: 304, headers, chunks: [], route: 'tar' }
  const reader = open({ scope: 'all' })
  const node: Node = decodeNode(cid, await reader.get(cid, signal))
  if (node.type === 'other')
    throw notAcceptable('a TAR holds files and directories; ask for format=car or format=raw')
  if (isHead) return { status: 200, headers, chunks: [], route: 'tar' }
  const tar = writeTar(reader, { cid, node }, cid.toString(), signal, FILE_READ_AHEAD)
  return { status: 200, headers, chunks: heldBack(tar, TAR_HELD_BYTES), route: 'tar' }
}

/** The same bytes, the first of them only once there are some, or all: an error before that is still told by a status. */
async function* heldBack(chunks: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] | undefined = []
  let heldBytes = 0
  for await (const chunk of chunks) {
    if (held === undefined) {
      yield chunk
      continue
    }
    held.push(chunk)
    heldBytes += chunk.byteLength
    if (heldBytes < bytes) continue
    yield* held
    held = undefined
  }
  if (held !== undefined) yield* held
}
