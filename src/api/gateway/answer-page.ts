import { encode as encodeDagJson } from '@ipld/dag-json'
import { DAG_CBOR, DAG_JSON, decodeValue } from '../../../protocols/content/links.ts'
import { matchesEntityTag } from '../range.ts'
import { type Answer, cacheControl, commonHeaders, contentPath, type Exchange } from './exchange.ts'
import { type Format } from './format.ts'
import { escapeHtml, PAGE_END, PAGE_HEADERS, PAGE_VERSION, pageStart, sizeText } from './html.ts'
import { MAX_SHOWN_VALUE_BYTES } from './limits.ts'

/** A page for people about a block of JSON or CBOR, with a way to the block itself. */
export async function answerValuePage(exchange: Exchange, format: Format): Promise<Answer> {
  const { cid, headers: asked, isHead, signal, open } = exchange
  const entityTag = `"DagIndex-${PAGE_VERSION}_CID-${cid}"`
  const headers = {
    ...commonHeaders(exchange),
    ...cacheControl(exchange, true),
    ...PAGE_HEADERS,
    etag: entityTag,
  }
  const bytes = await open({ scope: 'block' }).get(cid, signal)
  if (matchesEntityTag(asked['if-none-match'], entityTag))
    return { status: 304, headers, chunks: [], route: 'page' }
  const links = (['raw', format] as const).map((one) => `<a href="?format=${one}">${one}</a>`).join(', ')
  const page = [
    pageStart(cid.toString()),
    `<h1>${escapeHtml(contentPath(exchange))}</h1>\n`,
    `<p>A block of ${format}, ${sizeText(bytes.length)}. Download: ${links}.</p>\n`,
    shown(exchange, bytes),
    PAGE_END,
  ].join('')
  return { status: 200, headers, chunks: isHead ? [] : [page], route: 'page' }
}

/** The value as text, where it is small enough to look at. */
function shown({ cid }: Exchange, bytes: Uint8Array): string {
  const isKnown = cid.code === DAG_JSON || cid.code === DAG_CBOR
  if (!isKnown || bytes.length > MAX_SHOWN_VALUE_BYTES) return ''
  const text = new TextDecoder().decode(encodeDagJson(decodeValue(cid, bytes)))
  return `<pre>${escapeHtml(JSON.stringify(JSON.parse(text), null, 2))}</pre>\n`
}
