import { contentDisposition } from './disposition.ts'
import { rangeUnsatisfiable } from './errors.ts'

/** Both ends inclusive, in bytes. */
export interface Range {
  start: number
  end: number
}

type Headers = Readonly<Record<string, string | string[] | undefined>>

/**
 * The one byte range that a request asks for (RFC 9110, section 14), or undefined for the whole: without a Range
 * header, for a unit or form that is not known (14.2: ignore it), for several ranges (a server may answer with the
 * whole), and where If-Range names other content (13.1.5).
 *
 * @throws ERR_RANGE (416) where the range begins after the content
 */
export function rangeAsked(headers: Headers, sizeBytes: number, entityTag: string): Range | undefined {
  const header = headers['range']
  if (typeof header !== 'string') return undefined
  const condition = headers['if-range']
  if (condition !== undefined && condition !== entityTag) return undefined
  const match = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(header)
  if (match === null) return undefined
  const [, first = '', last = ''] = match
  if (first === '' && last === '') return undefined
  if (first === '') {
    // The last N bytes; more than there are means all of them, none is not satisfiable.
    const suffix = Number(last)
    if (suffix === 0 || sizeBytes === 0) throw rangeUnsatisfiable(sizeBytes)
    return { start: Math.max(0, sizeBytes - suffix), end: sizeBytes - 1 }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return undefined
  if (start >= sizeBytes) throw rangeUnsatisfiable(sizeBytes)
  return { start, end: last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1) }
}

/** Whether If-None-Match lists the entity tag (weak comparison, RFC 9110, section 13.1.2). */
export function matchesEntityTag(header: string | string[] | undefined, entityTag: string): boolean {
  if (header === undefined) return false
  const listed = (Array.isArray(header) ? header.join(',') : header).split(',').map((tag) => tag.trim())
  return listed.some((tag) => tag === '*' || tag.replace(/^W\//, '') === entityTag)
}

/**
 * Headers for bytes that others made: never run, sniffed or embedded by a browser that happens to open them, and
 * saved under their name.
 */
export function contentHeaders(name: string, entityTag?: string): Record<string, string> {
  return {
    'content-type': 'application/octet-stream',
    'content-disposition': contentDisposition('attachment', name),
    'content-security-policy': "sandbox; default-src 'none'",
    'x-content-type-options': 'nosniff',
    ...(entityTag === undefined ? {} : { etag: entityTag, 'cache-control': 'private, no-cache' }),
  }
}

/** What a browser shows by itself and does not run. SVG is left out: it is a document with scripts. */
const SHOWN_TYPES = /^(?:(?:video|audio|image)\/(?!svg)[\w.+-]+|text\/plain|application\/pdf)$/

/**
 * Headers for bytes of a private file: what a browser can play or show it does, in place; anything else is saved. Nothing is
 * kept on disk by a cache, and nothing is run.
 */
export function privateHeaders(
  name: string,
  mime: string | null,
  sha256: string | null,
): Record<string, string> {
  const isShown = mime !== null && SHOWN_TYPES.test(mime)
  return {
    ...contentHeaders(name, sha256 === null ? undefined : `"${sha256}"`),
    'cache-control': 'private, no-store',
    ...(isShown
      ? {
          'content-type': mime,
          'content-disposition': contentDisposition('inline', name),
          // A browser wraps what it plays in a page of its own, to which this policy applies. Its player asks for the bytes again,
          // and as of an origin of nobody's it would be refused; scripts stay forbidden.
          'content-security-policy':
            "sandbox allow-same-origin; default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'",
        }
      : {}),
  }
}
