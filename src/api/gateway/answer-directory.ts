import type { CID } from 'multiformats/cid'
import { type DirectoryNode, findEntry, listLinks } from '../../content/read/directory.ts'
import { decodeNode } from '../../content/read/node.ts'
import { matchesEntityTag } from '../range.ts'
import { answerFile } from './answer-file.ts'
import { type Answer, cacheControl, commonHeaders, type Exchange } from './exchange.ts'
import { escapeHtml, linkName, PAGE_END, PAGE_HEADERS, PAGE_VERSION, pageStart, sizeText } from './html.ts'
import { MAX_LISTED_ENTRIES } from './limits.ts'

const INDEX = 'index.html'

/** The index that a directory brings, or else a page of its entries. */
export async function answerDirectory(exchange: Exchange, node: DirectoryNode): Promise<Answer> {
  const { cid, headers: asked, isHead, hasTrailingSlash, shownPath, search, signal, open } = exchange
  if (!hasTrailingSlash) return toDirectory(exchange, shownPath, search)
  const reader = open({ scope: 'block', path: [INDEX] })
  const index = await findEntry(reader, cid, node, INDEX, signal)
  if (index !== undefined) {
    const file = decodeNode(index, await open({ dag: index, scope: 'block' }).get(index, signal))
    if (file.type === 'file') {
      exchange.assertGiven([...exchange.path, INDEX])
      return answerFile(exchange, { cid: index, node: file, name: INDEX, tagged: cid })
    }
  }
  const entityTag = `"DirIndex-${PAGE_VERSION}_CID-${cid}"`
  const headers = {
    ...commonHeaders(exchange),
    ...cacheControl(exchange, true),
    ...PAGE_HEADERS,
    etag: entityTag,
  }
  if (matchesEntityTag(asked['if-none-match'], entityTag))
    return { status: 304, headers, chunks: [], route: 'directory' }
  return { status: 200, headers, chunks: isHead ? [] : listing(exchange, node), route: 'directory' }
}

/** Links on a page lead astray unless the directory's own path ends in a slash. */
function toDirectory(exchange: Exchange, shownPath: readonly string[], search: string): Answer {
  const { place, root } = exchange
  const start =
    place.kind === 'path' ? [root.namespace, root.namespace === 'ipfs' ? root.text : root.name] : []
  const location = `/${[...start, ...shownPath].map((name) => `${encodeURIComponent(name)}/`).join('')}${search}`
  return { status: 301, headers: { location, ...commonHeaders(exchange) }, chunks: [], route: 'redirect' }
}

async function* listing(exchange: Exchange, node: DirectoryNode): AsyncGenerator<string> {
  const { cid, signal, shownPath } = exchange
  const links = linksOf(exchange)
  const reader = exchange.open({ scope: 'entity' })
  yield pageStart(`/${shownPath.join('/')}`)
  yield `<h1>Index of ${links.breadcrumbs}</h1>\n<p class="ipfs-hash">${cid}</p>\n<table>\n`
  if (shownPath.length > 0) {
    yield `<tr><td><a href="${links.entries}..">..</a></td><td></td><td></td></tr>\n`
  }
  let count = 0
  let page = ''
  for await (const { name, cid: entry, tsize } of listLinks(reader, cid, node, signal)) {
    count += 1
    if (count > MAX_LISTED_ENTRIES) {
      page += '<tr><td>… and more: ask for format=car&amp;dag-scope=entity</td><td></td><td></td></tr>\n'
      break
    }
    page += `<tr><td><a href="${links.entries}${linkName(name)}">${escapeHtml(name)}</a></td><td>${links.hash(entry, name)}${shortHash(entry)}</a></td><td title="all blocks together">${sizeText(tsize)}</td></tr>\n`
    if (page.length < PAGE_PART_CHARACTERS) continue
    yield page
    page = ''
  }
  yield `${page}</table>\n${PAGE_END}`
}

/** Rows are sent together, as a write of each would cost more than the row. */
const PAGE_PART_CHARACTERS = 32 * 1024

function shortHash(cid: CID): string {
  const text = cid.toString()
  return `${text.slice(0, 6)}…${text.slice(-6)}`
}

interface PageLinks {
  /** Way from the root to here, each name with its link. */
  breadcrumbs: string
  /** In front of an entry's name. */
  entries: string
  /** Start of a link to an entry by its CID. */
  hash: (cid: CID, name: string) => string
}

/** Links of a page, by where the client sees the content. */
function linksOf({ place, root, shownPath }: Exchange): PageLinks {
  const rootText = root.namespace === 'ipfs' ? root.text : root.name
  const below = shownPath.map((_, index) =>
    shownPath
      .slice(0, index + 1)
      .map((name) => `/${linkName(name)}`)
      .join(''),
  )
  const names = (base: string): string =>
    shownPath.map((name, index) => `/<a href="${base}${below[index]}">${escapeHtml(name)}</a>`).join('')
  const ownEntries = `${below.at(-1) ?? ''}/`
  const { namespace } = root
  if (place.kind === 'dnslink') {
    const site = `//${escapeHtml(place.host)}`
    return {
      breadcrumbs: `/${namespace}/<a href="${site}/">${escapeHtml(rootText)}</a>${names(site)}`,
      entries: ownEntries,
      // Here the host is a website's: it has no paths of content.
      hash: (cid) =>
        `<a class="ipfs-hash" translate="no" href="https://cid.ipfs.tech/#${cid}" target="_blank" rel="noreferrer noopener">`,
    }
  }
  const gateway = place.kind === 'subdomain' ? `//${escapeHtml(place.gateway)}` : ''
  const base = `${gateway}/${namespace}/${linkName(rootText)}`
  return {
    breadcrumbs: `/${namespace}/<a href="${base}">${escapeHtml(rootText)}</a>${names(base)}`,
    entries: place.kind === 'subdomain' ? ownEntries : `${base}${ownEntries}`,
    hash: (cid, name) => {
      // The name stands in a query: what encodes it there has a percent sign of its own.
      const filename = linkName(encodeURIComponent(name.toWellFormed()))
      return `<a class="ipfs-hash" translate="no" href="${gateway}/ipfs/${cid}?filename=${filename}">`
    },
  }
}
