import type { CID } from 'multiformats/cid'
import { readFile } from '../../content/read/file.ts'
import type { Node } from '../../content/read/node.ts'
import type { ReadPlan } from '../../content/types.ts'
import { contentDisposition } from '../disposition.ts'
import { matchesEntityTag, type Range } from '../range.ts'
import { isActive } from './content-type.ts'
import { notAcceptable } from './errors.ts'
import { type Answer, cacheControl, commonHeaders, type Exchange, nameOf } from './exchange.ts'
import { FILE_READ_AHEAD, MAX_CHECKED_JSON_BYTES, SNIFFED_BYTES } from './limits.ts'
import { ranged, rangesAsked } from './ranges.ts'

/** Most marks of formats stand in the first of them; a file's first block mostly has more. */
const ENOUGH_BYTES = 512
const ONE_BLOCK = { bytes: 1, blocks: 1 }

type FileNode = Extract<Node, { type: 'file' }>

/** A file of the content, which may be another one than what the path leads to: the index of a directory. */
export interface ServedFile {
  cid: CID
  node: FileNode
  name: string
  /** What its entity tag names; by default itself. */
  tagged?: CID
  status?: number
}

/**
 * Where content of everybody shares one origin, pages get one of their own that nobody else has: they run, but reach
 * neither what other content has stored there nor its pages.
 */
const SHARED_ORIGIN_POLICY =
  'sandbox allow-downloads allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox allow-scripts'

/** Bytes of a UnixFS file as a browser takes them. */
export async function answerFile(exchange: Exchange, file: ServedFile): Promise<Answer> {
  const { query, headers: asked, isHead, place, signal, open } = exchange
  const entityTag = `"${file.tagged ?? file.cid}"`
  const isMatch = matchesEntityTag(asked['if-none-match'], entityTag)
  const { cid, node } = file
  const { sizeBytes } = node
  const status = file.status ?? 200
  const name = query.get('filename') ?? file.name
  const type = isMatch ? undefined : await typeOf(exchange, file, name)
  const disposition = dispositionOf(query, name)
  const headers = {
    ...commonHeaders(exchange),
    ...cacheControl(exchange),
    etag: entityTag,
    ...(disposition === undefined ? {} : { 'content-disposition': disposition }),
    ...(type !== undefined && place.kind === 'path' && isActive(type)
      ? { 'content-security-policy': SHARED_ORIGIN_POLICY }
      : {}),
  }
  if (type === undefined) return { status: 304, headers, chunks: [], route: 'file' }
  const ranges = status === 200 ? rangesAsked(asked, sizeBytes, entityTag) : undefined
  const answer = ranged(ranges, {
    sizeBytes,
    type,
    read({ start, end }) {
      const isWhole = start === 0 && end === sizeBytes - 1
      const reader = open({ dag: cid, ...planOf({ start, end }, isWhole) })
      return readFile(reader, cid, { offset: start, length: end - start + 1, ahead: FILE_READ_AHEAD, signal })
    },
  })
  return {
    status: status === 200 ? answer.status : status,
    headers: { ...headers, ...answer.headers },
    chunks: isHead ? [] : answer.chunks,
    route: 'file',
  }
}

/** A whole file is the same blocks in either scope; as `all` it shares the fetch of whoever gets it. */
function planOf({ start, end }: Range, isWhole: boolean): Pick<ReadPlan, 'scope' | 'range'> {
  return isWhole ? { scope: 'all' } : { scope: 'entity', range: { from: start, to: end } }
}

/** @throws ERR_NOT_ACCEPTABLE where JSON is asked for and the file has none */
async function typeOf(exchange: Exchange, file: ServedFile, name: string): Promise<string> {
  const { negotiated } = exchange
  if (negotiated.format !== 'json') return exchange.types.of(name, file.cid, () => firstBytes(exchange, file))
  if (file.node.sizeBytes <= MAX_CHECKED_JSON_BYTES && (await isJson(exchange, file)))
    return 'application/json'
  throw notAcceptable('the file is not JSON, or too long to check; ask for it without a format')
}

/** Enough to tell a format. What lies behind them may be out of reach, and is not what was asked for. */
async function firstBytes(exchange: Exchange, file: ServedFile): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let count = 0
  try {
    for await (const part of start(exchange, file, SNIFFED_BYTES)) {
      parts.push(part)
      count += part.byteLength
      if (count >= ENOUGH_BYTES) break
    }
  } catch (error) {
    exchange.signal.throwIfAborted()
    if (count === 0) throw error
  }
  return Buffer.concat(parts)
}

async function isJson(exchange: Exchange, file: ServedFile): Promise<boolean> {
  const parts: Uint8Array[] = []
  for await (const part of start(exchange, file, MAX_CHECKED_JSON_BYTES)) parts.push(part)
  try {
    JSON.parse(new TextDecoder().decode(Buffer.concat(parts)))
    return true
  } catch {
    return false
  }
}

function start(exchange: Exchange, { cid, node }: ServedFile, count: number): AsyncIterable<Uint8Array> {
  const length = Math.min(count, node.sizeBytes)
  const reader = exchange.open({ dag: cid, scope: 'entity', range: { from: 0, to: Math.max(0, length - 1) } })
  return readFile(reader, cid, { length, ahead: ONE_BLOCK, signal: exchange.signal })
}

function dispositionOf(query: URLSearchParams, name: string): string | undefined {
  if (query.get('download') === 'true') return contentDisposition('attachment', name)
  return query.has('filename') ? contentDisposition('inline', name) : undefined
}

/** The file that the path itself leads to. */
export function ownFile(exchange: Exchange, node: FileNode): ServedFile {
  return { cid: exchange.cid, node, name: nameOf(exchange) }
}
