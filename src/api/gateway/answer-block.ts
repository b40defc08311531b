import * as json from 'multiformats/codecs/json'
import { DAG_CBOR, DAG_JSON } from '../../../protocols/content/links.ts'
import { contentDisposition } from '../disposition.ts'
import { matchesEntityTag } from '../range.ts'
import { type Answer, cacheControl, commonHeaders, type Exchange, type Route } from './exchange.ts'
import { type Format, MEDIA_TYPES } from './format.ts'
import { ranged, rangesAsked } from './ranges.ts'

/** Multicodecs of plain JSON and CBOR, whose blocks have no links. */
export const JSON_CODEC: number = json.code
export const CBOR_CODEC = 0x51

/** The format in which blocks of a codec are served as they are. */
const OWN_FORMAT: ReadonlyMap<number, Format> = new Map<number, Format>([
  [JSON_CODEC, 'json'],
  [CBOR_CODEC, 'cbor'],
  [DAG_JSON, 'dag-json'],
  [DAG_CBOR, 'dag-cbor'],
])

/** Formats that a codec's blocks may be called: a reader of plain JSON can take dag-json, and so for CBOR. */
const ALSO: ReadonlyMap<number, Format> = new Map<number, Format>([
  [DAG_JSON, 'json'],
  [DAG_CBOR, 'cbor'],
])

/** The format of a value's block, as it was asked for or its own; undefined where the codec has no such form (IPIP-524). */
export function valueFormat(code: number, asked: Format | undefined): Format | undefined {
  const own = OWN_FORMAT.get(code)
  if (own === undefined) return undefined
  if (asked === undefined || asked === 'html' || asked === own) return own
  return ALSO.get(code) === asked ? asked : undefined
}

/** The block itself, for clients that verify it. */
export function answerRaw(exchange: Exchange): Promise<Answer> {
  return answerBytes(exchange, {
    route: 'raw',
    type: MEDIA_TYPES.raw,
    suffix: '.raw',
    disposition: 'attachment',
    extension: 'bin',
  })
}

/** A block of JSON or CBOR as it is. */
export function answerValue(exchange: Exchange, format: Format): Promise<Answer> {
  const isJson = format === 'json' || format === 'dag-json'
  return answerBytes(exchange, {
    route: 'value',
    type: MEDIA_TYPES[format],
    suffix: `.${format}`,
    disposition: isJson ? 'inline' : 'attachment',
    extension: isJson ? 'json' : 'cbor',
  })
}

interface Form {
  route: Route
  type: string
  /** Of the entity tag, so that no cache takes one form of a CID for another. */
  suffix: string
  disposition: 'inline' | 'attachment'
  extension: string
}

async function answerBytes(exchange: Exchange, form: Form): Promise<Answer> {
  const { cid, query, headers: asked, isHead, signal, open } = exchange
  const entityTag = `"${cid}${form.suffix}"`
  const name = query.get('filename') ?? `${cid}.${form.extension}`
  const kind = query.get('download') === 'true' ? 'attachment' : form.disposition
  const headers = {
    ...commonHeaders(exchange),
    ...cacheControl(exchange),
    etag: entityTag,
    'content-disposition': contentDisposition(kind, name),
  }
  const bytes = await open({ scope: 'block' }).get(cid, signal)
  if (matchesEntityTag(asked['if-none-match'], entityTag))
    return { status: 304, headers, chunks: [], route: form.route }
  const answer = ranged(rangesAsked(asked, bytes.length, entityTag), {
    sizeBytes: bytes.length,
    type: form.type,
    async *read({ start, end }) {
      yield bytes.subarray(start, end + 1)
    },
  })
  return {
    status: answer.status,
    headers: { ...headers, ...answer.headers },
    chunks: isHead ? [] : answer.chunks,
    route: form.route,
  }
}
