import { decodeNode } from '../../content/read/node.ts'
import { contentDisposition } from '../disposition.ts'
import { answerRaw, answerValue, valueFormat } from './answer-block.ts'
import { answerDirectory } from './answer-directory.ts'
import { answerFile, ownFile } from './answer-file.ts'
import { answerValuePage } from './answer-page.ts'
import { answerCar, answerTar } from './answer-stream.ts'
import { badRequest, notAcceptable } from './errors.ts'
import { type Answer, cacheControl, commonHeaders, type Exchange } from './exchange.ts'

/**
 * The answer to a request whose path was walked, in the form that it asks for.
 *
 * @throws ERR_NOT_FOUND, ERR_FETCH_STALLED, ERR_DAG_INVALID, ERR_NOT_ACCEPTABLE, ERR_REQUEST_INVALID, ERR_RANGE, ERR_DENIED
 */
export async function answer(exchange: Exchange, isDeserialized: boolean): Promise<Answer> {
  const { cid, negotiated, signal, open } = exchange
  const { format } = negotiated
  if (format === 'raw') return answerRaw(exchange)
  if (format === 'car') return answerCar(exchange)
  if (!isDeserialized) {
    throw notAcceptable('this gateway serves what a client verifies: format=raw, car or ipns-record')
  }
  if (format === 'tar') return answerTar(exchange)
  if (format === 'ipns-record') throw badRequest('only names have records: /ipns/KEY')
  const value = valueFormat(cid.code, format)
  if (value !== undefined) {
    return format === 'html' && cid.code !== undefined
      ? answerHtml(exchange, value)
      : answerValue(exchange, value)
  }
  if (format !== undefined && format !== 'html' && format !== 'json')
    throw notAcceptable(`the content is no ${format}, and blocks are not converted; ask for format=raw`)
  const node = decodeNode(cid, await open({ scope: 'block' }).get(cid, signal))
  switch (node.type) {
    case 'file':
      return answerFile(exchange, ownFile(exchange, node))
    case 'directory':
    case 'shard':
      if (format === 'json') throw notAcceptable('a directory is no JSON; ask for format=car or format=tar')
      return answerDirectory(exchange, node)
    case 'symlink':
      return answerSymlink(exchange, node.target)
    default:
      throw notAcceptable('the content is no file or directory; ask for format=raw or format=car')
  }
}

/** Of plain JSON and CBOR a browser makes a page of its own, or saves them. */
function answerHtml(exchange: Exchange, value: NonNullable<ReturnType<typeof valueFormat>>): Promise<Answer> {
  return value.startsWith('dag-') ? answerValuePage(exchange, value) : answerValue(exchange, value)
}

/** What it points at, as text: a link is followed by whoever gets the tree, not by the gateway. */
function answerSymlink(exchange: Exchange, target: string): Answer {
  const { cid, isHead, query } = exchange
  const filename = query.get('filename')
  const kind = query.get('download') === 'true' ? 'attachment' : 'inline'
  return {
    status: 200,
    headers: {
      ...commonHeaders(exchange),
      ...cacheControl(exchange),
      etag: `"${cid}"`,
      'content-type': 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(target),
      ...(filename === null ? {} : { 'content-disposition': contentDisposition(kind, filename) }),
    },
    chunks: isHead ? [] : [target],
    route: 'file',
  }
}
