import type { CID } from 'multiformats/cid'
import type { OpenReader, ReadPlan } from '../../content/types.ts'
import type { Chunk } from '../streaming.ts'
import type { ContentTypes } from './content-type.ts'
import type { Negotiated } from './format.ts'
import type { Place, Root } from './target.ts'

/** One request for content whose path was walked, and what answers to it may use. */
export interface Exchange {
  readonly root: Root
  readonly place: Place
  /** The root's CID: that of the request, or what its name led to. */
  readonly rootCid: CID
  /** Names below `rootCid`: those that the name brought, then those of the request. */
  readonly path: readonly string[]
  /** Names of the request alone, as the client sees them below its root. */
  readonly shownPath: readonly string[]
  readonly hasTrailingSlash: boolean
  /** What the path leads to. */
  readonly cid: CID
  /** The root, and the block behind each name. */
  readonly roots: readonly CID[]
  /** How long a name's answer may be kept in milliseconds; undefined below `/ipfs/`, where it holds for ever. */
  readonly ttlMs: number | undefined
  readonly negotiated: Negotiated
  readonly query: URLSearchParams
  /** With its `?`, as it came; or empty. */
  readonly search: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly isHead: boolean
  readonly signal: AbortSignal
  readonly types: ContentTypes
  /** For a file that the answer brings of itself: by its names below the root, as in `path`. @throws ERR_DENIED */
  assertGiven(path: readonly string[]): void
  /** Blocks for the answer; closed when the answer has been sent. */
  open(plan: Omit<ReadPlan, 'dag' | 'providersOf'> & { dag?: CID }): OpenReader
}

/** What is sent back. */
export interface Answer {
  status: number
  headers: Record<string, string | number>
  /** Empty for HEAD and 304. */
  chunks: AsyncIterable<Chunk> | Iterable<Chunk>
  /** What kind of answer it is, for metrics. */
  route: Route
}

/** Labels of metrics: few, and our own. */
export type Route =
  | 'file'
  | 'directory'
  | 'raw'
  | 'car'
  | 'tar'
  | 'value'
  | 'record'
  | 'page'
  | 'redirect'
  | 'options'
  | 'other'

/** One year and more; what the specification wants for what never changes. */
const FOR_EVER = 'public, max-age=29030400, immutable'
/** A generated page may look otherwise with the next version of the gateway. */
const FOR_A_WEEK = 'public, max-age=604800, stale-while-revalidate=2678400'

/** `Cache-Control` of an answer; `isGenerated`: a page that this gateway made of the content. */
export function cacheControl(exchange: Pick<Exchange, 'ttlMs'>, isGenerated = false): Record<string, string> {
  if (exchange.ttlMs === undefined) return { 'cache-control': isGenerated ? FOR_A_WEEK : FOR_EVER }
  const seconds = Math.floor(exchange.ttlMs / 1000)
  return seconds > 0 ? { 'cache-control': `public, max-age=${seconds}` } : {}
}

/** The path that was asked for, as the client would write it: `/ipfs/CID/name/`. */
export function contentPath(exchange: Pick<Exchange, 'root' | 'shownPath' | 'hasTrailingSlash'>): string {
  const { root, shownPath, hasTrailingSlash } = exchange
  const text = root.namespace === 'ipfs' ? root.text : root.name
  const names = shownPath.map((name) => `/${encodeURIComponent(name)}`).join('')
  return `/${root.namespace}/${text}${names}${hasTrailingSlash ? '/' : ''}`
}

/** Headers that every answer with content has. */
export function commonHeaders(exchange: Exchange): Record<string, string> {
  return {
    'x-content-type-options': 'nosniff',
    'x-ipfs-path': contentPath(exchange),
    'x-ipfs-roots': exchange.roots.join(','),
    ...contentLocation(exchange),
  }
}

/** A cache that keys by URL needs one for a format that was negotiated by header. */
function contentLocation(exchange: Exchange): Record<string, string> {
  const { negotiated, query, place } = exchange
  if (!negotiated.isByHeader || negotiated.format === undefined) return {}
  const search = new URLSearchParams(query)
  search.set('format', negotiated.format)
  const path =
    place.kind === 'path'
      ? contentPath(exchange)
      : `/${exchange.shownPath.map((name) => encodeURIComponent(name)).join('/')}`
  return { 'content-location': `${path}?${search}` }
}

/** What a file is called where nobody says otherwise. */
export function nameOf(exchange: Exchange): string {
  return exchange.path.at(-1) ?? exchange.cid.toString()
}
